//! Asking for a mail to reset a forgotten password.

use super::mailing::{self, Purpose};
use super::{Client, address, invalid, parse_challenge};
use crate::app::App;
use crate::error::{Context, Result};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::Action;
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
        let conn = app.db.get().await?;
        User::find_by_email(&conn, &email, &client.aud)
            .await
            .public("Unable to process request")?
    };
    let Some(user) = found else { return Ok(()) };

    mailing::send_asked(
        app,
        client,
        &user,
        Purpose::Recovery,
        Action::UserRecoveryRequested,
        challenge
            .as_ref()
            .map(|challenge| (Method::Recovery, challenge)),
    )
    .await
}
