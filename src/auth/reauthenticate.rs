//! Proving once more who it is, before a password change: a nonce by mail.

use diesel_async::AsyncConnection;

use super::mailing::{self, Purpose};
use super::{Client, address, invalid, signup};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::otp;
use crate::error::{Code, Context, Error, Result, unprocessable};
use crate::models::audit_log_entry::Action;
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;

/// Sends a nonce to the user's e-mail address.
pub async fn send_nonce(app: &App, client: &Client, user: &User) -> Result<()> {
    match (user.email(), user.phone()) {
        ("", "") => {
            return Err(invalid(
                "Reauthentication requires the user to have an email or a phone number",
            ));
        }
        ("", _) if !user.is_phone_confirmed() => {
            return Err(unprocessable(
                Code::PhoneNotConfirmed,
                "Please verify your phone first.",
            ));
        }
        ("", _) => return Err(address::no_sms("reauthentication")),
        _ if !user.is_confirmed() => {
            return Err(unprocessable(
                Code::EmailNotConfirmed,
                "Please verify your email first.",
            ));
        }
        _ => {}
    }
    let action = Action::UserReauthenticateRequested;
    mailing::send_asked(app, client, user, Purpose::Reauthentication, action, None).await
}

/// Spends a nonce. A right one is spent even when the act that needed it is refused afterwards.
pub async fn spend_nonce(app: &App, user: &User, nonce: &str, now: Timestamp) -> Result<()> {
    let refused = || {
        unprocessable(
            Code::ReauthenticationNotValid,
            "Nonce has expired or is invalid",
        )
    };
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
        let before = user.clone();
        let (contact, lifetime) = match (user.email(), user.phone()) {
            ("", "") => {
                let message = "Reauthentication requires an email or a phone number";
                return Err(unprocessable(Code::ReauthenticationNotValid, message));
            }
            ("", phone) => (phone, *app.config.sms.otp_exp),
            (email, _) => (email, *app.config.mailer.otp_exp),
        };
        let sent_at = user.reauthentication_sent_at.ok_or_else(refused)?;
        let hash = otp::token_hash(contact, nonce);
        if !otp::matches(&hash, &user.reauthentication_token)
            || otp::is_expired(sent_at, lifetime, now)
        {
            return Err(refused());
        }
        user.reauthentication_token.clear();
        OneTimeToken::clear_all(tx, user.id)
            .await
            .public("Error during reauthentication")?;
        user.save(tx, &before, now)
            .await
            .public("Error during reauthentication")
    })
    .await
}
