//! Codes by text message: who may get one, how often, and who sends it. The counterpart of [`mailing`](super::mailing),
//! with one difference: whether a message goes out decides the answer, so it is sent before the act's transaction
//! opens, with no connection held. The transaction then notes the code, and looks again whether it may.

use diesel_async::AsyncConnection;
use serde::Serialize;
use serde_json::Value;

use super::{Client, signup, too_soon};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::otp;
use crate::db::Conn;
use crate::error::{
    Code, Context, Error, Result, bad_request, failed, forbidden, too_many_requests, unprocessable,
};
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::user::User;
use crate::models::user::view::UserView;
use crate::outside::sms::Failure;

/// What a code by text message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing up or in.
    Confirmation,
    /// A new number.
    PhoneChange,
    /// Proving once more who it is.
    Reauthentication,
}

impl Purpose {
    /// GoTrue's word for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::PhoneChange => "phone_change",
            Self::Reauthentication => "reauthentication",
        }
    }

    const fn token_type(self) -> TokenType {
        match self {
            Self::Confirmation => TokenType::Confirmation,
            Self::PhoneChange => TokenType::PhoneChange,
            Self::Reauthentication => TokenType::Reauthentication,
        }
    }

    /// The user's columns for its token and for when that was sent.
    fn columns(self, user: &mut User) -> (&mut String, &mut Option<Timestamp>) {
        match self {
            Self::Confirmation => (&mut user.confirmation_token, &mut user.confirmation_sent_at),
            Self::PhoneChange => (&mut user.phone_change_token, &mut user.phone_change_sent_at),
            Self::Reauthentication => (
                &mut user.reauthentication_token,
                &mut user.reauthentication_sent_at,
            ),
        }
    }

    const fn sent_at(self, user: &User) -> Option<Timestamp> {
        match self {
            Self::Confirmation => user.confirmation_sent_at,
            Self::PhoneChange => user.phone_change_sent_at,
            Self::Reauthentication => user.reauthentication_sent_at,
        }
    }

    /// Whether the number is still the one that this is about.
    fn concerns(self, user: &User, phone: &str) -> bool {
        match self {
            Self::Confirmation | Self::Reauthentication => user.phone() == phone,
            Self::PhoneChange => user.phone_change == phone,
        }
    }
}

/// A code that is to go to a phone.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// What for.
    pub purpose: Purpose,
    /// Whose it is.
    pub user: &'a User,
    /// Where to; a new number is not the user's yet.
    pub phone: &'a str,
    /// `sms` or `whatsapp`.
    pub channel: &'a str,
}

/// A message that is on its way; its code has yet to be noted.
pub struct Sent {
    purpose: Purpose,
    phone: String,
    hash: String,
    at: Timestamp,
    /// What the answer tells of the message. As GoTrue forgets what providers say, only numbers of tests have one.
    pub id: Option<&'static str>,
}

/// Sends a code to a phone, unless the user's last one is too recent. Numbers of tests get no message.
pub async fn send(app: &App, client: &Client, message: Message<'_>) -> Result<Sent> {
    let Message { purpose, phone, .. } = message;
    let now = app.clock.now();
    check_frequency(app, purpose.sent_at(message.user), now)?;
    let (code, id) = match app.config.sms.test_otp(phone, now) {
        Some(code) => (code.to_owned(), Some("test-otp")),
        None => {
            let code = otp::generate(app.config.sms.otp_length);
            // Whatever becomes of the act, the next message to this number has to wait.
            let every = app.config.sms.max_frequency;
            let reserved = app.limits.reserve(phone, every, now);
            reserved.map_err(|wait| too_soon(Code::OverSmsSendRateLimit, wait))?;
            if let Err(error) = dispatch(app, client, message, &code, now).await {
                app.limits.release(phone);
                return Err(error);
            }
            (code, None)
        }
    };
    Ok(Sent {
        purpose,
        phone: phone.to_owned(),
        hash: otp::token_hash(phone, &code),
        at: now,
        id,
    })
}

impl Sent {
    /// The code is noted, and committed: from now on the user's row says how long the next one has to wait.
    pub fn settle(&self, app: &App) {
        app.limits.release(&self.phone);
    }

    /// Notes the code on the user, who is locked (the caller saves the user). Who asked twice at the same time has two
    /// messages, and one code.
    pub async fn note(&self, app: &App, tx: &Conn, user: &mut User) -> Result<()> {
        let (purpose, phone, hash) = (self.purpose, &self.phone, &self.hash);
        check_frequency(app, purpose.sent_at(user), self.at)?;
        if purpose == Purpose::PhoneChange {
            user.phone_change.clone_from(phone);
        }
        let (token, sent_at) = purpose.columns(user);
        token.clone_from(hash);
        *sent_at = Some(self.at);
        let now = app.clock.now();
        OneTimeToken::replace(tx, user.id, purpose.token_type(), phone, hash, now)
            .await
            .public("error creating one time token")
    }
}

/// Sends a user a code that was asked for, and notes it, in the audit log as well where that is to say something;
/// gives the message's id. Where the number is no longer the user's by then, the code is worth nothing.
pub async fn send_asked(
    app: &App,
    client: &Client,
    message: Message<'_>,
    audit: Option<(Action, Option<Value>)>,
) -> Result<Option<&'static str>> {
    let sent = send(app, client, message).await?;
    let mut conn = app.db.get().await?;
    let noted = conn.transaction::<_, Error, _>(async |tx| {
        let user = User::lock(tx, message.user.id).await?;
        let mut user = user.ok_or_else(signup::gone)?;
        if !message.purpose.concerns(&user, message.phone) {
            return Ok(false);
        }
        let before = user.clone();
        if let Some((action, traits)) = audit {
            app.audit(tx, Actor::User(&user), action, traits, sent.at)
                .await?;
        }
        sent.note(app, tx, &mut user).await?;
        user.save(tx, &before, sent.at).await?;
        Ok(true)
    });
    if noted.await? {
        sent.settle(app);
    }
    Ok(sent.id)
}

/// What the hook is told.
#[derive(Serialize)]
struct SendSms<'a> {
    user: UserView<'a>,
    sms: Sms<'a>,
}

#[derive(Serialize)]
struct Sms<'a> {
    otp: &'a str,
    phone: &'a str,
}

/// Hands a message to the hook where there is one, else to the provider.
async fn dispatch(
    app: &App,
    client: &Client,
    message: Message<'_>,
    code: &str,
    now: Timestamp,
) -> Result<()> {
    let Message { purpose, phone, .. } = message;
    let hook = app.hooks.send_sms.as_ref();
    if hook.is_none() && !app.sms.is_on() {
        return Err(nobody_sends());
    }
    if !app.config.sms.autoconfirm {
        app.limits.message(now).map_err(|retry_after| {
            too_many_requests(
                Code::OverSmsSendRateLimit,
                "SMS rate limit exceeded",
                retry_after,
            )
        })?;
    }
    let Some(hook) = hook else {
        let sent = app.sms.send(phone, code, message.channel).await;
        return sent.map_err(|failure| in_words(purpose, failure));
    };
    let mut user = message.user.clone();
    if purpose == Purpose::PhoneChange {
        phone.clone_into(&mut user.phone_change);
    }
    let said = SendSms {
        user: UserView::from(&user),
        sms: Sms { otp: code, phone },
    };
    hook.ask(&app.http, &said, client.ip, now).await.map(drop)
}

/// Asks the provider whether a code is right, where [it makes them](crate::outside::sms::Sms::checks_codes).
pub(super) async fn check_code(app: &App, phone: &str, code: &str) -> Result<()> {
    let checked = app.sms.check(phone, code).await;
    checked.map_err(|failure| {
        tracing::info!(?failure, "the provider refuses a code");
        forbidden(Code::OtpExpired, "Token has expired or is invalid")
    })
}

/// Where GoTrue fails with a 500: the caller asks for what this server does not offer.
fn nobody_sends() -> Error {
    bad_request(Code::PhoneProviderDisabled, "Unsupported phone provider")
}

fn in_words(purpose: Purpose, failure: Failure) -> Error {
    match failure {
        Failure::NoProvider => nobody_sends(),
        Failure::Unfit(why) => failed("Unable to get SMS provider", anyhow::anyhow!(why)),
        Failure::Template(why) => failed("error generating sms template", anyhow::anyhow!(why)),
        Failure::Refused(why) => unprocessable(
            Code::SmsSendFailed,
            format!("Error sending {} OTP to provider: {why}", purpose.as_str()),
        ),
    }
}

/// Refuses a message while the last one of its kind is too recent.
fn check_frequency(app: &App, sent_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    let (code, every) = (Code::OverSmsSendRateLimit, app.config.sms.max_frequency);
    super::check_frequency(code, every, sent_at, now)
}
