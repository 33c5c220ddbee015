//! The mails that somebody asks for: one act, whatever they are for.

use diesel_async::AsyncConnection;

use super::{Purpose, prepare, send_code};
use crate::app::App;
use crate::auth::{Client, signup};
use crate::crypto::pkce::Challenge;
use crate::error::{Context, Error, Result};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::flow_state::FlowState;
use crate::models::user::User;

/// Mails a user a code: notes that it was asked for, begins the PKCE flow that its link leads back to, and posts it
/// after the commit. Who has been confirmed meanwhile gets no second confirmation.
pub async fn send_asked(
    app: &App,
    client: &Client,
    user: &User,
    purpose: Purpose,
    action: Action,
    flow: Option<(Method, &Challenge<'_>)>,
) -> Result<()> {
    let stationery = prepare(app, purpose, user.email()).await?;
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
        if purpose == Purpose::Confirmation && user.is_confirmed() {
            return Ok(());
        }
        let before = user.clone();
        if let Some((method, challenge)) = flow {
            FlowState::begin(tx, user.id, method.as_str(), method, challenge, now).await?;
        }
        app.audit(tx, Actor::User(&user), action, None, now).await?;
        let pkce = flow.is_some();
        send_code(app, tx, client, &stationery, purpose, &mut user, pkce).await?;
        user.save(tx, &before, now).await.public(purpose.failure())
    })
    .await?;
    drop(conn);
    stationery.post(app).await.public(purpose.failure())
}
