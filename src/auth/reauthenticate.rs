//! Proving once more who it is, before a password change: a nonce by mail or text message.

use diesel_async::AsyncConnection;

use super::mailing::{self, Purpose};
use super::messaging::{self, Message};
use super::{Client, invalid, signup};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::otp;
use crate::error::{Code, Context, Error, Result, unprocessable};
use crate::models::audit_log_entry::Action;
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;

/// Sends a nonce to the user's e-mail address, or else phone; gives the message's id, if it has one.
pub async fn send_nonce(app: &App, client: &Client, user: &User) -> Result<Option<&'static str>> {
    let action = Action::UserReauthenticateRequested;
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
        ("", phone) => {
            let message = Message {
                purpose: messaging::Purpose::Reauthentication,
                user,
                phone,
                channel: "sms",
            };
            return messaging::send_asked(app, client, message, Some((action, None))).await;
        }
        _ if !user.is_confirmed() => {
            return Err(unprocessable(
                Code::EmailNotConfirmed,
                "Please verify your email first.",
            ));
        }
        _ => {}
    }
    mailing::send_asked(app, client, user, Purpose::Reauthentication, action, None).await?;
    Ok(None)
}

/// Spends a nonce. A right one is spent even when the act that needed it is refused afterwards.
pub async fn spend_nonce(app: &App, user: &User, nonce: &str, now: Timestamp) -> Result<()> {
    let refused = || {
        unprocessable(
            Code::ReauthenticationNotValid,
            "Nonce has expired or is invalid",
        )
    };
    if user.reauthentication_token.is_empty() {
        return Err(refused());
    }
    if user.email().is_empty() && !user.phone().is_empty() && app.sms.checks_codes() {
        // The provider spends it.
        return messaging::check_code(app, user.phone(), nonce).await;
    }
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
        OneTimeToken::clear_confirmed(tx, user.id)
            .await
            .public("Error during reauthentication")?;
        user.save(tx, &before, now)
            .await
            .public("Error during reauthentication")
    })
    .await
}
