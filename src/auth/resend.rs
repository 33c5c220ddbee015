//! Sending a mail or a text message once more that did not arrive.

use diesel_async::AsyncConnection;

use super::mailing::{self, Purpose};
use super::messaging::{self, Message};
use super::{Client, address, invalid, parse_challenge, signup};
use crate::app::App;
use crate::crypto::pkce::Challenge;
use crate::error::{Code, Context, Error, Result, bad_request};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::Action;
use crate::models::flow_state::FlowState;
use crate::models::user::User;

/// What is to be sent again.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `signup`, `email_change`, `sms` or `phone_change`.
    pub kind: String,
    /// An e-mail address, or "".
    pub email: String,
    /// A phone number, or "".
    pub phone: String,
    /// The PKCE challenge, or "".
    pub code_challenge: String,
    /// Its method, or "".
    pub code_challenge_method: String,
}

/// Sends it again; gives the message's id, if it has one. Who is unknown, is confirmed already or changes nothing gets
/// the same answer.
pub async fn resend(app: &App, client: &Client, params: &Params) -> Result<Option<&'static str>> {
    let challenge = match params.kind.as_str() {
        "signup" | "email_change" => {
            parse_challenge(&params.code_challenge, &params.code_challenge_method)?
        }
        "sms" | "phone_change" => None,
        _ => {
            return Err(invalid(
                "Missing one of these types: signup, email_change, sms, phone_change",
            ));
        }
    };
    if params.email.is_empty() && params.kind == "signup" {
        return Err(invalid("Type provided requires an email address"));
    }
    if params.phone.is_empty() && params.kind == "sms" {
        return Err(invalid("Type provided requires a phone number"));
    }
    let Some(user) = find(app, client, params).await? else {
        return Ok(None);
    };
    match params.kind.as_str() {
        "signup" if !user.is_confirmed() => mailing::send_asked(
            app,
            client,
            &user,
            Purpose::Confirmation,
            Action::UserConfirmationRequested,
            challenge
                .as_ref()
                .map(|challenge| (Method::EmailSignup, challenge)),
        )
        .await
        .map(|()| None),
        "email_change" if !user.email_change.is_empty() => {
            send_email_change(app, client, user, challenge.as_ref())
                .await
                .map(|()| None)
        }
        "sms" if !user.is_phone_confirmed() => {
            let message = Message {
                purpose: messaging::Purpose::Confirmation,
                user: &user,
                phone: user.phone(),
                channel: "sms",
            };
            let audit = Some((Action::UserRecoveryRequested, None));
            messaging::send_asked(app, client, message, audit).await
        }
        "phone_change" if !user.phone_change.is_empty() => {
            let message = Message {
                purpose: messaging::Purpose::PhoneChange,
                user: &user,
                phone: &user.phone_change,
                channel: "sms",
            };
            messaging::send_asked(app, client, message, None).await
        }
        _ => Ok(None),
    }
}

async fn find(app: &App, client: &Client, params: &Params) -> Result<Option<User>> {
    let found = match (params.email.as_str(), params.phone.as_str()) {
        ("", "") => return Err(invalid("Missing email address or phone number")),
        (email, "") => {
            if !app.config.external.email_enabled {
                return Err(bad_request(
                    Code::EmailProviderDisabled,
                    "Email logins are disabled",
                ));
            }
            let email = address::parse_email(email)?;
            User::find_by_email(&*app.db.get().await?, &email, &client.aud).await
        }
        ("", phone) => {
            if !app.config.external.phone_enabled {
                return Err(bad_request(
                    Code::PhoneProviderDisabled,
                    "Phone logins are disabled",
                ));
            }
            let phone = address::parse_phone(phone)?;
            User::find_by_phone(&mut *app.db.get().await?, &phone, &client.aud).await
        }
        _ => {
            return Err(invalid(
                "Only an email address or phone number should be provided.",
            ));
        }
    };
    found.public("Unable to process request")
}

async fn send_email_change(
    app: &App,
    client: &Client,
    user: User,
    challenge: Option<&Challenge<'_>>,
) -> Result<()> {
    let stationery = mailing::prepare_email_change(app, &user.email_change).await?;
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
        if user.email_change.is_empty() {
            // Confirmed meanwhile.
            return Ok(());
        }
        let before = user.clone();
        if let Some(challenge) = challenge {
            FlowState::begin(
                tx,
                user.id,
                Method::EmailChange.as_str(),
                Method::EmailChange,
                challenge,
                now,
            )
            .await?;
        }
        let new_email = user.email_change.clone();
        mailing::send_email_change(
            app,
            tx,
            client,
            &stationery,
            &mut user,
            &new_email,
            challenge.is_some(),
        )
        .await?;
        user.save(tx, &before, now)
            .await
            .public("Error sending email change email")
    })
    .await?;
    drop(conn);
    stationery
        .post(app)
        .await
        .public("Error sending email change email")
}
