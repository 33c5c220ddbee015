//! Signing in with a link or code sent by mail, or with a code by text message; who is new is signed up.

use serde_json::{Map, Value, json};

use super::mailing::{self, Purpose};
use super::messaging::{self, Message};
use super::{Client, address, invalid, parse_challenge, signup};
use crate::app::App;
use crate::crypto::pkce::{Challenge, Invalid};
use crate::error::{Code, Context, Result, bad_request, unprocessable};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::Action;
use crate::models::user::User;

/// What somebody who wants a link or a code sends.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// An e-mail address, or "".
    pub email: String,
    /// A phone number, or "".
    pub phone: String,
    /// May a newcomer be signed up?
    pub create_user: bool,
    /// `user_metadata` of a newcomer.
    pub data: Map<String, Value>,
    /// `sms` or `whatsapp`, for phones.
    pub channel: String,
    /// The PKCE challenge, or "".
    pub code_challenge: String,
    /// Its method, or "".
    pub code_challenge_method: String,
}

/// Sends a code by mail or by text message (`/otp`); gives the message's id, if it has one.
pub async fn send_otp(app: &App, client: &Client, params: Params) -> Result<Option<&'static str>> {
    if !params.email.is_empty() && !params.phone.is_empty() {
        return Err(invalid(
            "Only an email address or phone number should be provided",
        ));
    }
    if !params.email.is_empty() && !params.channel.is_empty() {
        return Err(invalid("Channel should only be specified with Phone OTP"));
    }
    match Challenge::parse(&params.code_challenge, &params.code_challenge_method) {
        // Codes by text message begin no PKCE flow: nobody asks for the method.
        Err(Invalid::Method(_)) if params.email.is_empty() => {}
        Err(error) => return Err(invalid(error.to_string())),
        Ok(_) => {}
    }
    if !params.create_user && !is_known(app, client, &params).await? {
        return Err(unprocessable(
            Code::OtpDisabled,
            "Signups not allowed for otp",
        ));
    }
    if !params.email.is_empty() {
        check_enabled(app)?;
        send_link(app, client, params).await?;
        return Ok(None);
    }
    if params.phone.is_empty() {
        return Err(invalid("One of email or phone must be set"));
    }
    // Apart, because few callers come this way: the future would be large for all.
    Box::pin(send_message(app, client, params)).await
}

/// Sends a code by text message; who is new, or has never confirmed the number, is signed up. Only for numbers of
/// tests there is a message id to tell.
async fn send_message(app: &App, client: &Client, params: Params) -> Result<Option<&'static str>> {
    if !app.config.external.phone_enabled {
        return Err(bad_request(
            Code::PhoneProviderDisabled,
            "Unsupported phone provider",
        ));
    }
    let phone = address::parse_phone(&params.phone)?;
    let channel = address::parse_channel(app, &params.channel)?;
    let mut user = find_by_phone(app, client, &phone).await?;
    if !user.as_ref().is_some_and(User::is_phone_confirmed) {
        let newcomer = signup::Params {
            phone: phone.clone(),
            data: params.data,
            channel: channel.clone(),
            ..signup::Params::default()
        };
        signup::sign_up(app, client, newcomer).await?;
        if !app.config.sms.autoconfirm {
            // The message that confirms the number is the code.
            return Ok(None);
        }
        user = find_by_phone(app, client, &phone).await?;
    }
    let user = user.ok_or_else(signup::gone)?;
    let traits = json!({ "channel": channel });
    let message = Message {
        purpose: messaging::Purpose::Confirmation,
        user: &user,
        phone: &phone,
        channel: &channel,
    };
    let audit = Some((Action::UserRecoveryRequested, Some(traits)));
    messaging::send_asked(app, client, message, audit).await
}

async fn find_by_phone(app: &App, client: &Client, phone: &str) -> Result<Option<User>> {
    let mut conn = app.db.get().await?;
    User::find_by_phone(&mut conn, phone, &client.aud)
        .await
        .public("Database error finding user")
}

/// Is there an account with this address? Malformed addresses have none.
async fn is_known(app: &App, client: &Client, params: &Params) -> Result<bool> {
    let mut conn;
    let found = if !params.email.is_empty() {
        let Ok(email) = address::parse_email(&params.email) else {
            return Ok(false);
        };
        conn = app.db.get().await?;
        User::find_by_email(&conn, &email, &client.aud).await?
    } else if !params.phone.is_empty() {
        let Ok(phone) = address::parse_phone(&params.phone) else {
            return Ok(false);
        };
        conn = app.db.get().await?;
        User::find_by_phone(&mut conn, &phone, &client.aud).await?
    } else {
        return Ok(true);
    };
    Ok(found.is_some())
}

/// Sends a link by mail (`/magiclink`, and `/otp` with an e-mail address).
pub async fn send_link(app: &App, client: &Client, mut params: Params) -> Result<()> {
    if params.email.is_empty() {
        return Err(unprocessable(
            Code::ValidationFailed,
            "Password recovery requires an email",
        ));
    }
    params.email = address::parse_email(&params.email)?;
    let challenge = parse_challenge(&params.code_challenge, &params.code_challenge_method)?;
    let mut user = find(app, client, &params.email).await?;
    if !user.as_ref().is_some_and(User::is_confirmed) {
        let newcomer = signup::Params {
            email: params.email.clone(),
            data: params.data,
            code_challenge: params.code_challenge.clone(),
            code_challenge_method: params.code_challenge_method.clone(),
            ..signup::Params::default()
        };
        // Apart, because few callers come this way: the future would be large for all.
        signup::sign_up(app, client, newcomer).await?;
        if !app.config.mailer.autoconfirm {
            // The confirmation mail is the link.
            return Ok(());
        }
        user = find(app, client, &params.email).await?;
    }
    let user = user.ok_or_else(signup::gone)?;
    mailing::send_asked(
        app,
        client,
        &user,
        Purpose::MagicLink,
        Action::UserRecoveryRequested,
        challenge
            .as_ref()
            .map(|challenge| (Method::MagicLink, challenge)),
    )
    .await
}

/// May links be sent at all? Asked before the body is read.
pub fn check_enabled(app: &App) -> Result<()> {
    if !app.config.external.email_enabled {
        return Err(unprocessable(
            Code::EmailProviderDisabled,
            "Email logins are disabled",
        ));
    }
    if !app.config.external.email_magic_link_enabled {
        return Err(unprocessable(
            Code::EmailProviderDisabled,
            "Login with magic link is disabled",
        ));
    }
    Ok(())
}

async fn find(app: &App, client: &Client, email: &str) -> Result<Option<User>> {
    let conn = app.db.get().await?;
    User::find_by_email(&conn, email, &client.aud)
        .await
        .public("Database error finding user")
}
