//! Mails that carry a code or a link, and notices: who may get one, how often, and what stands in it.
//! Mails are rendered and queued in the act's own transaction; a worker delivers them after the commit.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Client, address};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::crypto::otp;
use crate::db::Conn;
use crate::error::{Code, Context, Error, Result, bad_request, too_many_requests};
use crate::json::object;
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::outbox::Outbox;
use crate::models::user::User;
use crate::outside::templates::{Rendered, Template};
use crate::urls::percent::{self, Part};

mod asked;

pub use asked::send_asked;

/// What a mail with a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Confirming a sign-up.
    Confirmation,
    /// Accepting an invitation.
    Invite,
    /// Resetting a password.
    Recovery,
    /// Signing in.
    MagicLink,
    /// Proving once more who it is.
    Reauthentication,
}

impl Purpose {
    const fn kind(self) -> MailKind {
        match self {
            Self::Confirmation => MailKind::Confirmation,
            Self::Invite => MailKind::Invite,
            Self::Recovery => MailKind::Recovery,
            Self::MagicLink => MailKind::MagicLink,
            Self::Reauthentication => MailKind::Reauthentication,
        }
    }

    /// GoTrue's public text when the mail cannot be made.
    const fn failure(self) -> &'static str {
        match self {
            Self::Confirmation => "Error sending confirmation email",
            Self::Invite => "Error sending invite email",
            Self::Recovery => "Error sending recovery email",
            Self::MagicLink => "Error sending magic link email",
            Self::Reauthentication => "Error sending reauthentication email",
        }
    }

    /// The kind of its token, and the `type` of its link.
    const fn token(self) -> (TokenType, &'static str) {
        match self {
            Self::Confirmation => (TokenType::Confirmation, "signup"),
            Self::Invite => (TokenType::Confirmation, "invite"),
            Self::Recovery => (TokenType::Recovery, "recovery"),
            Self::MagicLink => (TokenType::Recovery, "magiclink"),
            Self::Reauthentication => (TokenType::Reauthentication, ""),
        }
    }

    /// The user's columns for its token and for when that was sent.
    fn columns(self, user: &mut User) -> (&mut String, &mut Option<Timestamp>) {
        match self {
            Self::Confirmation | Self::Invite => {
                (&mut user.confirmation_token, &mut user.confirmation_sent_at)
            }
            Self::Recovery | Self::MagicLink => {
                (&mut user.recovery_token, &mut user.recovery_sent_at)
            }
            Self::Reauthentication => (
                &mut user.reauthentication_token,
                &mut user.reauthentication_sent_at,
            ),
        }
    }
}

/// A mail kind with its template at hand: fetched before a transaction begins, because it may come from afar.
pub struct Stationery {
    kind: MailKind,
    template: Arc<Template>,
    /// The mails that its act waits for, where acts do.
    awaited: Mutex<Vec<Uuid>>,
}

/// Fetches what a mail for this purpose is written on, and makes sure that the recipient can exist.
pub async fn prepare(app: &App, purpose: Purpose, recipient: &str) -> Result<Stationery> {
    address::check_deliverable(app, recipient).await?;
    Ok(stationery(app, purpose.kind()).await)
}

/// The same for a mail that may come to be sent, to whom is not known yet.
pub async fn prepare_unaddressed(app: &App, purpose: Purpose) -> Stationery {
    stationery(app, purpose.kind()).await
}

/// The same for the mails of an e-mail change.
pub async fn prepare_email_change(app: &App, recipient: &str) -> Result<Stationery> {
    address::check_deliverable(app, recipient).await?;
    Ok(stationery(app, MailKind::EmailChange).await)
}

/// What tells a user that something happened; empty where notices of its kind are switched off.
pub struct Notice(Option<Stationery>);

impl Notice {
    /// Tells nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }
}

/// Fetches what a notice is written on.
pub async fn notice(app: &App, kind: MailKind) -> Notice {
    if app.config.mailer.notification_enabled(kind) {
        Notice(Some(stationery(app, kind).await))
    } else {
        Notice(None)
    }
}

async fn stationery(app: &App, kind: MailKind) -> Stationery {
    Stationery {
        kind,
        template: app.templates.get(kind, app.clock.now()).await,
        awaited: Mutex::default(),
    }
}

/// Makes a code for this purpose, notes it on the user (the caller saves the user), and queues the mail.
pub async fn send_code(
    app: &App,
    tx: &Conn,
    client: &Client,
    stationery: &Stationery,
    purpose: Purpose,
    user: &mut User,
    pkce: bool,
) -> Result<()> {
    let now = app.clock.now();
    if purpose != Purpose::Invite {
        check_frequency(app, *purpose.columns(user).1, now)?;
    }
    check_recipient(app, user.email())?;
    allow_mail(app, now)?;
    let email = user.email().to_owned();
    let code = otp::generate(app.config.mailer.otp_length);
    let hash = flow_hash(otp::token_hash(&email, &code), pkce);

    let (token_type, link_type) = purpose.token();
    let (token, sent_at) = purpose.columns(user);
    token.clone_from(&hash);
    *sent_at = Some(now);
    let mut variables = variables(app, user, &email);
    variables.insert("Token".into(), code.into());
    if purpose != Purpose::Reauthentication {
        let link = action_link(app, client, purpose.kind(), link_type, &hash);
        variables.insert("TokenHash".into(), hash.as_str().into());
        variables.insert("ConfirmationURL".into(), link.into());
        variables.insert("RedirectTo".into(), client.redirect_to.as_str().into());
    }
    stationery
        .queue(app, tx, &email, &variables, now)
        .await
        .public(purpose.failure())?;
    OneTimeToken::replace(tx, user.id, token_type, &email, &hash, now)
        .await
        .public(purpose.failure())
}

/// GoTrue's public text when the mails of an e-mail change cannot be made.
const EMAIL_CHANGE_FAILURE: &str = "Error sending email change email";

/// Makes the codes of an e-mail change, notes them on the user (the caller saves the user), and queues one mail to
/// the new address and, where changes are secure, one to the current address.
pub async fn send_email_change(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    stationery: &Stationery,
    user: &mut User,
    new_email: &str,
    pkce: bool,
) -> Result<()> {
    let now = app.clock.now();
    check_frequency(app, user.email_change_sent_at, now)?;
    let current = user.email().to_owned();
    let secure = app.config.mailer.secure_email_change_enabled && !current.is_empty();
    check_recipient(app, new_email)?;
    if secure {
        check_recipient(app, &current)?;
    }
    allow_mail(app, now)?;

    // In the order of GoTrue's rows.
    let to_current = secure.then_some((current.as_str(), TokenType::EmailChangeCurrent));
    let to_new = (new_email, TokenType::EmailChangeNew);
    let letters = to_current.into_iter().chain([to_new]);
    new_email.clone_into(&mut user.email_change);
    user.email_change_confirm_status = 0;
    user.email_change_sent_at = Some(now);
    for (recipient, token_type) in letters {
        let code = otp::generate(app.config.mailer.otp_length);
        let hash = flow_hash(otp::token_hash(recipient, &code), pkce);
        let column = match token_type {
            TokenType::EmailChangeNew => &mut user.email_change_token_new,
            _ => &mut user.email_change_token_current,
        };
        column.clone_from(&hash);
        let mut variables = variables(app, user, user.email());
        variables.insert("NewEmail".into(), new_email.into());
        variables.insert("SendingTo".into(), recipient.into());
        variables.insert("Token".into(), code.into());
        variables.insert("TokenHash".into(), hash.as_str().into());
        let link = action_link(app, client, MailKind::EmailChange, "email_change", &hash);
        variables.insert("ConfirmationURL".into(), link.into());
        variables.insert("RedirectTo".into(), client.redirect_to.as_str().into());
        stationery
            .queue(app, tx, recipient, &variables, now)
            .await
            .public(EMAIL_CHANGE_FAILURE)?;
        OneTimeToken::replace(tx, user.id, token_type, recipient, &hash, now)
            .await
            .public(EMAIL_CHANGE_FAILURE)?;
    }
    Ok(())
}

/// Tells a user by mail that something about the account has changed, if such notices are switched on. `more` are
/// the variables that this kind has besides. A notice that cannot be sent never fails the act.
pub async fn notify(
    app: &App,
    tx: &Conn,
    notice: &Notice,
    user: &User,
    recipient: &str,
    more: Value,
) -> Result<()> {
    let Notice(Some(stationery)) = notice else {
        return Ok(());
    };
    if recipient.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let mut variables = variables(app, user, user.email());
    variables.extend(object(more));
    let mail = check_recipient(app, recipient)
        .and_then(|()| allow_mail(app, now))
        .and_then(|()| stationery.template.render(&variables));
    match mail {
        Ok(mail) => stationery
            .write(app, tx, recipient, &mail, now, now)
            .await
            .map(drop),
        Err(error) => {
            tracing::warn!(?error, kind = stationery.kind.as_str(), "notice not sent");
            Ok(())
        }
    }
}

impl Stationery {
    /// A mail that its act is for, which may wait until it is sent.
    async fn queue(
        &self,
        app: &App,
        tx: &Conn,
        recipient: &str,
        variables: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<()> {
        let due = app.mailer.due(&app.config, now);
        let mail = self.template.render(variables)?;
        if let Some(id) = self.write(app, tx, recipient, &mail, now, due).await? {
            self.awaited
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(id);
        }
        Ok(())
    }

    /// None where there is no relay: then nothing is queued, as if it were sent.
    async fn write(
        &self,
        app: &App,
        tx: &Conn,
        recipient: &str,
        mail: &Rendered,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<Option<Uuid>> {
        if app.mailer.is_off() {
            return Ok(None);
        }
        let id = Outbox::queue(tx, self.kind, recipient, mail, now, due).await?;
        Ok(Some(id))
    }

    /// Posts what the act has queued, after its commit. Only where settings say so it waits for the relay.
    pub async fn post(&self, app: &App) -> Result<()> {
        let awaited =
            std::mem::take(&mut *self.awaited.lock().unwrap_or_else(PoisonError::into_inner));
        app.mailer.deliver(app, awaited).await
    }
}

/// The variables that every mail has.
fn variables(app: &App, user: &User, email: &str) -> Map<String, Value> {
    object(json!({
        "SiteURL": app.config.site_url,
        "Email": email,
        "Data": user.user_metadata,
    }))
}

/// In the PKCE flow the stored hash says so (GoTrue's `addFlowPrefixToToken`).
fn flow_hash(hash: String, pkce: bool) -> String {
    if pkce { format!("pkce_{hash}") } else { hash }
}

/// The link that a mail leads to: the public address of this server, with the kind's path (GoTrue's
/// `templatemailer.getPath`: a query in the path is dropped, an absolute URL replaces the host).
#[must_use]
pub fn action_link(
    app: &App,
    client: &Client,
    kind: MailKind,
    link_type: &str,
    token_hash: &str,
) -> String {
    // Magic links go where recovery links go.
    let kind = if kind == MailKind::MagicLink {
        MailKind::Recovery
    } else {
        kind
    };
    let path = app.config.mailer.urlpath(kind);
    let mut link = client
        .external_url
        .join(path)
        .unwrap_or_else(|_| client.external_url.clone());
    link.set_query(None);
    link.set_fragment(None);
    let redirect_to = &client.redirect_to;
    let encoded;
    let redirect_to = if redirect_to.contains(['&', '=', '#']) {
        encoded = percent::escape(redirect_to.as_bytes(), Part::Query);
        &*encoded
    } else {
        redirect_to
    };
    format!("{link}?token={token_hash}&type={link_type}&redirect_to={redirect_to}")
}

/// Refuses a mail while the last one of its kind is too recent.
fn check_frequency(app: &App, sent_at: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    let (code, every) = (Code::OverEmailSendRateLimit, app.config.smtp.max_frequency);
    super::check_frequency(code, every, sent_at, now)
}

/// Refuses recipients that are not on the list, where there is one.
fn check_recipient(app: &App, email: &str) -> Result<(), Error> {
    if email.is_empty()
        || address::is_authorized(email, &app.config.external.email_authorized_addresses)
    {
        return Ok(());
    }
    Err(bad_request(
        Code::EmailAddressNotAuthorized,
        format!("Email address {email:?} cannot be used as it is not authorized"),
    ))
}

/// Counts a mail against the limit of the whole process. Where addresses are confirmed at once only the limit
/// zero counts, as in GoTrue.
fn allow_mail(app: &App, now: Timestamp) -> Result<(), Error> {
    app.limits
        .mail(app.config.mailer.autoconfirm, now)
        .map_err(|retry_after| {
            too_many_requests(
                Code::OverEmailSendRateLimit,
                "email rate limit exceeded",
                retry_after,
            )
        })
}
