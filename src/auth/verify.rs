//! Proving to own an address: with the link of a mail, or with the code in a mail or text message.

use diesel_async::AsyncConnection;
use serde_json::{Value, json};

use super::grant::{Grant, SignIn, issue, provider_trait};
use super::mailing::{self, Notice};
use super::password::at_rest;
use super::{Client, invalid, signup};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::db::Conn;
use crate::error::{Code, Context, Error, OnConstraint, Result, bad_request};
use crate::json::object;
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::flow_state::FlowState;
use crate::models::identity::{EMAIL, Identity};
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::session::{Scope, Session};
use crate::models::user::User;

mod find;
mod phone;

use find::{code_expired, find};
pub(super) use phone::{PhoneNotices, apply_phone_change};

/// What a link or code was sent for (the `type` parameter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Confirming a sign-up.
    Signup,
    /// Accepting an invitation.
    Invite,
    /// Resetting a password.
    Recovery,
    /// Signing in.
    MagicLink,
    /// Changing the e-mail address.
    EmailChange,
    /// Whichever of sign-up and magic link it was.
    Email,
    /// Signing up or in by phone.
    Sms,
    /// Changing the phone number.
    PhoneChange,
}

impl Kind {
    /// Reads the `type` parameter.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "signup" => Self::Signup,
            "invite" => Self::Invite,
            "recovery" => Self::Recovery,
            "magiclink" => Self::MagicLink,
            "email_change" => Self::EmailChange,
            "email" => Self::Email,
            "sms" => Self::Sms,
            "phone_change" => Self::PhoneChange,
            _ => return None,
        })
    }

    /// The `type` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Invite => "invite",
            Self::Recovery => "recovery",
            Self::MagicLink => "magiclink",
            Self::EmailChange => "email_change",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::PhoneChange => "phone_change",
        }
    }

    /// How a PKCE flow of this kind signs in, if one can begin with it.
    #[must_use]
    pub fn method(self) -> Option<Method> {
        Some(match self {
            Self::Signup => Method::EmailSignup,
            Self::Invite => Method::Invite,
            Self::Recovery => Method::Recovery,
            Self::MagicLink => Method::MagicLink,
            Self::EmailChange => Method::EmailChange,
            Self::Email | Self::Sms | Self::PhoneChange => return None,
        })
    }
}

/// What the caller holds.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The hash of a link, which says whose it is.
    Hash(String),
    /// A code typed by hand, and the address it was sent to.
    EmailCode {
        /// The address.
        email: String,
        /// The digits.
        code: String,
    },
    /// The same for a phone.
    PhoneCode {
        /// The number.
        phone: String,
        /// The digits.
        code: String,
    },
}

/// What comes of it.
#[derive(Debug)]
pub enum Verified {
    /// Signed in.
    In(Box<Grant>),
    /// A code to be exchanged for a session (PKCE).
    Code(String),
    /// The first half of a secure e-mail change: the other address must confirm as well.
    Half,
}

/// What a caller reads after the first half of a secure e-mail change.
pub const HALF_DONE: &str =
    "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// Checks a proof and signs its owner in. `pkce` leads to a code instead of a session. Also says what kind it turned
/// out to be.
pub async fn verify(
    app: &App,
    client: &Client,
    kind: Kind,
    proof: &Proof,
    pkce: bool,
) -> Result<(Verified, Kind)> {
    let vouched = find::vouched_for(app, client, kind, proof).await?;
    let changed = mailing::notice(app, MailKind::EmailChangedNotification).await;
    let phone_notices = PhoneNotices::prepare(app).await;
    let mut conn = app.db.get().await?;
    let verified = conn
        .transaction::<_, Error, _>(async |tx| {
            let now = app.clock.now();
            let (user, hash, kind) = find(app, tx, client, kind, proof, vouched, now).await?;
            let verified = match kind {
                Kind::Signup | Kind::Invite => Some(confirm_signup(app, tx, user, now).await?),
                Kind::Recovery | Kind::MagicLink => Some(recover(app, tx, user, now).await?),
                Kind::EmailChange => change_email(app, tx, user, &hash, &changed, now).await?,
                Kind::Sms => Some(phone::confirm(app, tx, user, now).await?),
                Kind::PhoneChange => Some(phone::change(app, tx, user, &phone_notices, now).await?),
                Kind::Email => {
                    return Err(invalid("Unsupported verification type"));
                }
            };
            let Some(user) = verified else {
                return Ok((Verified::Half, kind));
            };
            if pkce {
                let code = issue_code(tx, &user, kind, now).await?;
                return Ok((Verified::Code(code), kind));
            }
            let sign_in = SignIn {
                method: Method::Otp,
                audit: Vec::new(),
                password: None,
            };
            let grant = issue(app, tx, client, user, sign_in, now)
                .await?
                .ok_or_else(signup::gone)?;
            Ok((Verified::In(Box::new(grant)), kind))
        })
        .await?;
    drop(conn);
    app.mailer.wake();
    Ok(verified)
}

/// [`verify`] for a kind by name. GoTrue tells of an unknown kind only who brings a hash; a code is merely wrong.
pub async fn verify_named(
    app: &App,
    client: &Client,
    name: &str,
    proof: &Proof,
) -> Result<Verified> {
    let Some(kind) = Kind::parse(name) else {
        return Err(match proof {
            Proof::Hash(_) => invalid("Invalid email verification type"),
            Proof::EmailCode { .. } | Proof::PhoneCode { .. } => code_expired(),
        });
    };
    verify(app, client, kind, proof, false)
        .await
        .map(|(verified, _)| verified)
}

async fn confirm_signup(app: &App, tx: &mut Conn, mut user: User, now: Timestamp) -> Result<User> {
    let before = user.clone();
    if user.password().is_none() && user.invited_at.is_some() {
        // Who was invited has no password yet: nobody can know this one, and the application asks for another.
        let hash = app.hasher.unusable_hash();
        user.set_password(Some(at_rest::seal(app, user.id, &hash)));
        Session::sign_out(tx, user.id, Scope::Global, None, &[])
            .await
            .public("Error storing password")?;
    }
    app.audit(
        tx,
        Actor::User(&user),
        Action::UserSignedUp,
        provider_trait(EMAIL),
        now,
    )
    .await?;
    user.confirm(now);
    let email = user.email.clone();
    for identity in user
        .identities
        .iter_mut()
        .filter(|identity| email.is_some() && identity.email == email)
    {
        let verified = object(json!({ "email_verified": true }));
        identity
            .merge(tx, verified)
            .await
            .public("Error setting email_verified to true on identity")?;
    }
    finish(tx, user, &before, now)
        .await
        .public("Error confirming user")
}

async fn recover(app: &App, tx: &mut Conn, mut user: User, now: Timestamp) -> Result<User> {
    let before = user.clone();
    user.recovery_token.clear();
    if user.is_confirmed() {
        app.audit(tx, Actor::User(&user), Action::Login, None, now)
            .await?;
    } else {
        app.audit(
            tx,
            Actor::User(&user),
            Action::UserSignedUp,
            provider_trait(EMAIL),
            now,
        )
        .await?;
        user.confirm(now);
    }
    finish(tx, user, &before, now)
        .await
        .public("Database error updating user")
}

/// Voids what else is outstanding, writes the user, and reads it again.
async fn finish(tx: &mut Conn, user: User, before: &User, now: Timestamp) -> Result<User> {
    OneTimeToken::clear_confirmed(tx, user.id).await?;
    store(tx, user, before, now).await
}

/// Writes the user, with the providers that the identities now make, and reads it again.
async fn store(tx: &mut Conn, mut user: User, before: &User, now: Timestamp) -> Result<User> {
    user.derive_providers();
    user.save(tx, before, now).await?;
    user.reload(tx).await?;
    Ok(user)
}

/// Notes one half of a secure e-mail change (`None`), or applies the change.
async fn change_email(
    app: &App,
    tx: &mut Conn,
    mut user: User,
    hash: &str,
    changed: &Notice,
    now: Timestamp,
) -> Result<Option<User>> {
    let mailer = &app.config.mailer;
    let secure =
        !mailer.autoconfirm && mailer.secure_email_change_enabled && !user.email().is_empty();
    if secure && user.email_change_confirm_status == 0 {
        let before = user.clone();
        user.email_change_confirm_status = 1;
        if user.email_change_token_current == hash {
            user.email_change_token_current.clear();
            OneTimeToken::clear(tx, user.id, TokenType::EmailChangeCurrent).await?;
        } else {
            user.email_change_token_new.clear();
            OneTimeToken::clear(tx, user.id, TokenType::EmailChangeNew).await?;
        }
        user.save(tx, &before, now).await?;
        return Ok(None);
    }
    let user = apply_email_change(app, tx, user, changed, now).await?;
    let before = user.clone();
    store(tx, user, &before, now).await.map(Some)
}

/// Merges claims into the user's own identity of this kind, or gives the user `new`.
async fn write_own_identity(
    tx: &mut Conn,
    user: &mut User,
    claims: Value,
    new: Identity,
) -> Result<()> {
    let mut identities = user.identities.iter_mut();
    match identities.find(|own| own.is(&new.provider, &new.provider_id)) {
        Some(own) => own.merge(tx, object(claims)).await?,
        None => {
            new.insert(tx).await.public("Error creating identity")?;
            user.identities.push(new);
        }
    }
    Ok(())
}

/// Makes the address that a user waits for the user's own.
pub(super) async fn apply_email_change(
    app: &App,
    tx: &mut Conn,
    mut user: User,
    changed: &Notice,
    now: Timestamp,
) -> Result<User> {
    let before = user.clone();
    app.audit(tx, Actor::User(&user), Action::UserModified, None, now)
        .await?;
    let new_email = std::mem::take(&mut user.email_change);
    let claims = json!({ "email": new_email, "email_verified": true });
    let new = Identity::of_email(user.id, &new_email, true, now);
    write_own_identity(tx, &mut user, claims, new).await?;
    user.is_anonymous = false;
    user.email = Some(new_email);
    user.email_change_token_current.clear();
    user.email_change_token_new.clear();
    user.email_change_confirm_status = 0;
    if !user.is_confirmed() {
        user.confirm(now);
    }
    OneTimeToken::clear_confirmed(tx, user.id).await?;
    user.save(tx, &before, now)
        .await
        .on_constraint("users_email_partial_key", super::email_exists)?;
    if !before.email().is_empty() && before.email() != user.email() {
        let more = json!({ "Email": user.email(), "OldEmail": before.email() });
        mailing::notify(app, tx, changed, &user, before.email(), more).await?;
    }
    Ok(user)
}

/// Gives out the code of the flow that this mail belongs to.
async fn issue_code(tx: &mut Conn, user: &User, kind: Kind, now: Timestamp) -> Result<String> {
    let flow = match kind.method() {
        Some(method) => FlowState::issue_code(tx, user.id, method, now).await?,
        None => None,
    };
    let refused = |reason: &str| {
        bad_request(
            Code::FlowStateNotFound,
            format!("No associated flow state found. 422: {reason}"),
        )
    };
    let flow = flow.ok_or_else(|| refused("No valid flow state found for user."))?;
    flow.auth_code
        .filter(|_| {
            flow.code_challenge
                .is_some_and(|challenge| !challenge.is_empty())
        })
        .ok_or_else(|| refused("Flow state does not have an auth code (not a PKCE flow)."))
}
