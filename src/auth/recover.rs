//! Asking for a mail to reset a forgotten password.

use diesel_async::AsyncConnection;

use super::mailing::{self, Purpose};
use super::{Client, address, invalid, parse_challenge, signup};
use crate::app::App;
use crate::error::{Context, Error, Result};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::flow_state::FlowState;
use crate::models::user::User;

/// Sends a recovery mail. Who is unknown gets the same answer.
pub async fn recover(
    app: &App,
    client: &Client,
    email: &str,
    challenge: (&str, &str),
) -> Result<()> {
    if email.is_empty() {
        return Err(invalid("Password recovery requires an email"));
    }
    let email = address::parse_email(email)?;
    let (value, method) = challenge;
    let challenge = parse_challenge(value, method)?;
    let found = {
        let mut conn = app.db.get().await?;
        User::find_by_email(&mut conn, &email, &client.aud)
            .await
            .public("Unable to process request")?
    };
    let Some(user) = found else { return Ok(()) };

    let stationery = mailing::prepare(app, Purpose::Recovery, user.email()).await?;
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
        let before = user.clone();
        if let Some(challenge) = &challenge {
            FlowState::begin(
                tx,
                user.id,
                Method::Recovery.as_str(),
                Method::Recovery,
                challenge,
                now,
            )
            .await?;
        }
        app.audit(
            tx,
            Actor::User(&user),
            Action::UserRecoveryRequested,
            None,
            now,
        )
        .await?;
        mailing::send_code(
            app,
            tx,
            client,
            &stationery,
            Purpose::Recovery,
            &mut user,
            challenge.is_some(),
        )
        .await?;
        user.save(tx, &before, now)
            .await
            .public("Error sending recovery email")
    })
    .await?;
    drop(conn);
    stationery
        .post(app)
        .await
        .public("Error sending recovery email")
}
