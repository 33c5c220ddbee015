//! What users change of their own account.

use chrono::TimeDelta;
use diesel_async::AsyncConnection;
use serde_json::{Map, Value, json};

use super::bearer::Bearer;
use super::mailing;
use super::password::at_rest;
use super::verify;
use super::{Client, address, invalid, parse_challenge, policy, reauthenticate, signup};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{
    Code, Context, Error, Result, bad_request, forbidden, unauthorized, unprocessable,
};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::flow_state::FlowState;
use crate::models::identity::{EMAIL, Identity};
use crate::models::one_time_token::OneTimeToken;
use crate::models::session::{Scope, Session};
use crate::models::user::User;

mod letters;

use letters::Letters;

/// What a user wants changed; empty and `None` leave things as they are.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// A new e-mail address, to be confirmed by mail.
    pub email: String,
    /// A new phone number.
    pub phone: String,
    /// How to send its code.
    pub channel: String,
    /// A new password; "" removes it where the rules allow.
    pub password: Option<String>,
    /// The present password, where that must be given.
    pub current_password: Option<String>,
    /// The nonce of a reauthentication mail.
    pub nonce: String,
    /// Merged into `user_metadata`; null removes a key.
    pub data: Option<Map<String, Value>>,
    /// Merged into `app_metadata`; only for members of the admin group.
    pub app_metadata: Option<Map<String, Value>>,
    /// The PKCE challenge, or "".
    pub code_challenge: String,
    /// Its method, or "".
    pub code_challenge_method: String,
}

impl Changes {
    fn changes_password(&self) -> bool {
        self.password
            .as_ref()
            .is_some_and(|password| !password.is_empty())
    }

    fn changes_email(&self, user: &User) -> bool {
        !self.email.is_empty() && self.email != user.email()
    }

    fn changes_phone(&self, user: &User) -> bool {
        !self.phone.is_empty() && self.phone != user.phone()
    }
}

/// Changes the caller's own account.
pub async fn update(
    app: &App,
    client: &Client,
    bearer: &Bearer,
    mut changes: Changes,
) -> Result<User> {
    let user = &bearer.user;
    check_formats(app, &mut changes).await?;
    check_rights(app, bearer, &changes)?;
    check_taken(app, client, user, &changes).await?;
    let password = match &changes.password {
        None => None,
        Some(password) => Some(new_password(app, client, bearer, &changes, password).await?),
    };
    let challenge = if changes.changes_email(user) {
        parse_challenge(&changes.code_challenge, &changes.code_challenge_method)?
    } else {
        None
    };
    let letters = Letters::prepare(app, client, user, &changes).await?;
    let (data, app_metadata) = (changes.data.take(), changes.app_metadata.take());
    // The audit log is read in the order of time.
    let tick = TimeDelta::microseconds(1);

    let mut conn = app.db.get().await?;
    let updated = conn
        .transaction::<_, Error, _>(async |tx| {
            let mut now = app.clock.now();
            let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
            let mut before = user.clone();
            if let Some(password) = password {
                let first = user.password().is_none() && password.is_some();
                store_password(app, tx, &mut user, password, bearer.session.as_ref(), now).await?;
                if first {
                    ensure_email_identity(app, tx, &mut user, now).await?;
                }
                let notice = &letters.password_changed;
                mailing::notify(app, tx, notice, &user, user.email(), json!({})).await?;
                now += tick;
            }
            if let Some(data) = data {
                user.merge_user_metadata(data);
            }
            if let Some(app_metadata) = app_metadata {
                user.merge_app_metadata(app_metadata);
            }
            if let Some(stationery) = &letters.email_change {
                if let Some(challenge) = &challenge {
                    let method = Method::EmailChange;
                    FlowState::begin(tx, user.id, method.as_str(), method, challenge, now).await?;
                }
                let pkce = challenge.is_some();
                let (user, to) = (&mut user, &changes.email);
                mailing::send_email_change(app, tx, client, stationery, user, to, pkce).await?;
            } else if letters.email_counts_at_once
                && before.is_anonymous
                && changes.changes_email(&before)
            {
                user.email_change.clone_from(&changes.email);
                user.save(tx, &before, now).await?;
                user =
                    verify::apply_email_change(app, tx, user, &letters.email_changed, now).await?;
                before = user.clone();
                now += tick;
            }
            if let Some(message) = &letters.phone_change {
                message.note(app, tx, &mut user).await?;
            } else if app.config.sms.autoconfirm && changes.changes_phone(&before) {
                user.save(tx, &before, now).await?;
                user = verify::apply_phone_change(
                    app,
                    tx,
                    user,
                    &changes.phone,
                    &letters.phone_changed,
                    now,
                )
                .await?;
                before = user.clone();
                now += tick;
            }
            app.audit(tx, Actor::User(&user), Action::UserModified, None, now)
                .await?;
            user.save(tx, &before, now)
                .await
                .public("Error updating user")?;
            Ok(user)
        })
        .await?;
    drop(conn);
    app.mailer.wake();
    if let Some(message) = &letters.phone_change {
        message.settle(app);
    }
    if let Some(stationery) = &letters.email_change {
        stationery
            .post(app)
            .await
            .public("Error sending email change email")?;
    }
    Ok(updated)
}

async fn check_formats(app: &App, changes: &mut Changes) -> Result<()> {
    if !changes.email.is_empty() {
        changes.email = address::parse_email(&changes.email)?;
    }
    if !changes.phone.is_empty() {
        changes.phone = address::parse_phone(&changes.phone)?;
        changes.channel = address::parse_channel(app, &changes.channel)?;
    }
    if let Some(password) = &changes.password {
        policy::check_password(app, password).await?;
    }
    Ok(())
}

fn check_rights(app: &App, bearer: &Bearer, changes: &Changes) -> Result<()> {
    let user = &bearer.user;
    let jwt = &app.config.jwt;
    if changes.app_metadata.is_some() && !(user.aud == jwt.aud && user.role == jwt.admin_group_name)
    {
        return Err(forbidden(
            Code::NotAdmin,
            "Updating app_metadata requires admin privileges",
        ));
    }
    let sensitive =
        changes.changes_password() || changes.changes_email(user) || changes.changes_phone(user);
    if user.has_mfa() && sensitive && !bearer.session.as_ref().is_some_and(Session::is_aal2) {
        return Err(unauthorized(
            Code::InsufficientAal,
            "AAL2 session is required to update email or password when MFA is enabled.",
        ));
    }
    if user.is_anonymous
        && changes.changes_password()
        && changes.email.is_empty()
        && changes.phone.is_empty()
    {
        return Err(unprocessable(
            Code::ValidationFailed,
            "Updating password of an anonymous user without an email or phone is not allowed",
        ));
    }
    if user.is_sso_user && (sensitive || !changes.nonce.is_empty()) {
        return Err(unprocessable(
            Code::UserSsoManaged,
            "Updating email, phone, password of a SSO account only possible via SSO",
        ));
    }
    Ok(())
}

async fn check_taken(app: &App, client: &Client, user: &User, changes: &Changes) -> Result<()> {
    if changes.changes_email(user) {
        let own_domains = app.config.experimental.own_linking_domains();
        let mut conn = app.db.get().await?;
        let holder = User::find_holder(
            &mut conn,
            &changes.email,
            &client.aud,
            Some(user.id),
            &own_domains,
        )
        .await;
        if holder.public("Database error checking email")?.is_some() {
            return Err(super::email_exists());
        }
    }
    if changes.changes_phone(user) {
        let mut conn = app.db.get().await?;
        let holder = User::find_by_phone(&mut conn, &changes.phone, &client.aud).await;
        if holder.public("Database error checking phone")?.is_some() {
            return Err(super::phone_exists());
        }
    }
    Ok(())
}

/// Checks that the password may be changed, and hashes the new one; "" gives none.
async fn new_password(
    app: &App,
    client: &Client,
    bearer: &Bearer,
    changes: &Changes,
    password: &str,
) -> Result<Option<String>> {
    let security = &app.config.security;
    let user = &bearer.user;
    let now = app.clock.now();
    if security.update_password_require_reauthentication {
        let fresh = bearer
            .session
            .as_ref()
            .is_some_and(|session| now <= session.created_at + TimeDelta::hours(24));
        if !fresh {
            if changes.nonce.is_empty() {
                return Err(bad_request(
                    Code::ReauthenticationNeeded,
                    "Password update requires reauthentication",
                ));
            }
            reauthenticate::spend_nonce(app, user, &changes.nonce, now).await?;
        }
    }
    if password.is_empty() {
        return Ok(None);
    }
    if let Some(stored) = at_rest::open(app, user)?.as_deref() {
        let recovering = bearer.session.as_ref().is_some_and(Session::is_recovery);
        if security.update_password_require_current_password && !recovering {
            const MESSAGE: &str = "Current password required when setting new password.";
            let current = changes.current_password.as_deref().unwrap_or_default();
            if current.is_empty() {
                return Err(bad_request(Code::CurrentPasswordRequired, MESSAGE));
            }
            if !app.hasher.verify(current, Some(stored), client.ip).await? {
                return Err(bad_request(Code::CurrentPasswordInvalid, MESSAGE));
            }
        }
        if app.hasher.verify(password, Some(stored), client.ip).await? {
            return Err(unprocessable(
                Code::SamePassword,
                "New password should be different from the old password.",
            ));
        }
    }
    let hash = app.hasher.hash(password, client.ip).await?;
    Ok(Some(at_rest::seal(app, user.id, &hash)))
}

/// Puts a new password in place: every pending token is void, every other session ends.
pub(super) async fn store_password(
    app: &App,
    tx: &mut Conn,
    user: &mut User,
    hash: Option<String>,
    session: Option<&Session>,
    now: Timestamp,
) -> Result<()> {
    const FAILURE: &str = "Error during password storage";
    user.set_password(hash);
    OneTimeToken::clear_all(tx, user.id).await.public(FAILURE)?;
    let (scope, current) = match session {
        Some(session) => (Scope::Others, Some(session.id)),
        None => (Scope::Global, None),
    };
    Session::sign_out(tx, user.id, scope, current, &[])
        .await
        .public(FAILURE)?;
    app.audit(
        tx,
        Actor::User(user),
        Action::UserUpdatedPassword,
        None,
        now,
    )
    .await
}

/// Gives a user with a confirmed address an e-mail identity when a first password is set, where that is switched on.
pub(super) async fn ensure_email_identity(
    app: &App,
    tx: &mut Conn,
    user: &mut User,
    now: Timestamp,
) -> Result<()> {
    let wanted = app
        .config
        .experimental
        .create_email_identity_on_password_set_enabled
        && !user.is_sso_user
        && !user.is_anonymous
        && user.is_confirmed()
        && !user.email().is_empty()
        && !user
            .identities
            .iter()
            .any(|identity| identity.provider == EMAIL);
    if wanted {
        let identity = Identity::of_email(user.id, user.email(), true, now);
        identity
            .insert(tx)
            .await
            .public("Error creating identity")?;
        user.identities.push(identity);
        user.derive_providers();
    }
    Ok(())
}

/// Makes sure that a request speaks of the audience its token was made for.
pub fn check_audience(client: &Client, bearer: &Bearer) -> Result<()> {
    match bearer.claims.aud.first() {
        Some(aud) if *aud == client.aud => Ok(()),
        _ => Err(invalid("Token audience doesn't match request audience")),
    }
}
