//! What administrators do with accounts.

pub mod cli;
pub mod custom_providers;
pub mod factors;
pub mod list;
pub mod totals;

use chrono::TimeDelta;
use diesel_async::AsyncConnection;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::bearer::Admin;
use super::password::at_rest;
use super::user::ensure_email_identity;
use super::{Client, address, invalid, policy, signup};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::signed_duration;
use crate::crypto::password::{MAX_LENGTH, PasswordHash};
use crate::crypto::secrets::obfuscate;
use crate::db::Conn;
use crate::error::{Code, Context, Error, OnConstraint, Result, not_found, unprocessable};
use crate::json::object;
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::identity::{EMAIL, Identity, PHONE};
use crate::models::one_time_token::OneTimeToken;
use crate::models::session::{Scope, Session};
use crate::models::user::User;

/// What an administrator says of an account; empty and `None` leave things as they are.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// The id of a new account.
    pub id: String,
    /// The audience of a new account.
    pub aud: String,
    /// The role.
    pub role: String,
    /// The e-mail address.
    pub email: String,
    /// The phone number.
    pub phone: String,
    /// The password.
    pub password: Option<String>,
    /// The hash of a new account's password.
    pub password_hash: String,
    /// Is the e-mail address confirmed with this?
    pub email_confirm: bool,
    /// Is the phone number confirmed with this?
    pub phone_confirm: bool,
    /// Merged into `user_metadata`.
    pub user_metadata: Option<Map<String, Value>>,
    /// Merged into `app_metadata`.
    pub app_metadata: Option<Map<String, Value>>,
    /// A Go duration, or `none`.
    pub ban_duration: String,
}

impl Params {
    fn normalise(&mut self) -> Result<()> {
        if !self.email.is_empty() {
            self.email = address::parse_email(&self.email)?;
        }
        if !self.phone.is_empty() {
            self.phone = address::parse_phone(&self.phone)?;
        }
        Ok(())
    }

    /// Until when the account is banned; `None` says nothing, `Some(None)` lifts a ban.
    fn banned_until(&self, now: Timestamp) -> Result<Option<Option<Timestamp>>> {
        match self.ban_duration.as_str() {
            "" => Ok(None),
            "none" => Ok(Some(None)),
            duration => {
                let duration = signed_duration(duration).map_err(|error| {
                    invalid(format!("invalid format for ban duration: {error}"))
                })?;
                Ok(Some(
                    (duration != TimeDelta::zero()).then(|| now + duration),
                ))
            }
        }
    }
}

/// A user by id, soft-deleted or not.
pub async fn find(app: &App, user_id: &str) -> Result<User> {
    let user_id = parse_id(user_id)?;
    let conn = app.db.get().await?;
    let found = User::find(&conn, user_id)
        .await
        .public("Database error loading user")?;
    found.ok_or_else(|| not_found(Code::UserNotFound, "User not found"))
}

fn parse_id(user_id: &str) -> Result<Uuid> {
    Uuid::try_parse(user_id)
        .map_err(|_| not_found(Code::ValidationFailed, "user_id must be an UUID"))
}

fn phone_taken() -> Error {
    unprocessable(
        Code::PhoneExists,
        "Phone number already registered by another user",
    )
}

/// Makes an account. Signing up may be switched off; passwords are not asked to be strong.
pub async fn create(app: &App, client: &Client, admin: &Admin, mut params: Params) -> Result<User> {
    let aud = if params.aud.is_empty() {
        client.aud.clone()
    } else {
        params.aud.clone()
    };
    if params.email.is_empty() && params.phone.is_empty() {
        return Err(invalid(
            "Cannot create a user without either an email or phone",
        ));
    }
    params.normalise()?;
    check_free(app, &params, &aud).await?;
    let id = new_id(&params.id)?;
    let hash = new_hash(app, &params).await?;
    let now = app.clock.now();
    let banned_until = params.banned_until(now)?;

    let present = |contact: &str| Some(contact.to_owned()).filter(|contact| !contact.is_empty());
    let mut user = User::new(&aud, present(&params.email), present(&params.phone), now);
    user.id = id.unwrap_or(user.id);
    user.encrypted_password = Some(hash);
    let role = if params.role.is_empty() {
        &app.config.jwt.default_group_name
    } else {
        &params.role
    };
    user.role = role.trim().to_owned();
    let providers = user.contact_providers();
    user.app_metadata = object(json!({ "provider": providers.first(), "providers": providers }));
    user.merge_app_metadata(params.app_metadata.unwrap_or_default());
    user.user_metadata = params.user_metadata.unwrap_or_default();

    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let inserted = user
            .insert(tx)
            .await
            .on_constraint("users_phone_key", phone_taken)?;
        if !inserted {
            return Err(super::email_exists());
        }
        if !user.email().is_empty() {
            user.identities
                .push(Identity::of_email(user.id, user.email(), false, now));
        }
        if !user.phone().is_empty() {
            user.identities
                .push(Identity::of_phone(user.id, user.phone(), false, now));
        }
        for identity in &user.identities {
            identity
                .insert(tx)
                .await
                .public("Error creating identity")?;
        }
        // Written apart, so that triggers on confirmation see it happen.
        let before = user.clone();
        if params.email_confirm {
            user.confirm(now);
        }
        if params.phone_confirm {
            user.confirm_phone(now);
        }
        user.ban(banned_until.flatten());
        user.save(tx, &before, now).await?;
        let mut traits = contact_traits(&user);
        traits.insert("provider".into(), json!(providers.first()));
        app.audit(
            tx,
            Actor::Admin(&admin.role),
            Action::UserSignedUp,
            Some(Value::Object(traits)),
            now,
        )
        .await?;
        Ok(user)
    })
    .await
    .public("Database error creating new user")
}

fn contact_traits(user: &User) -> Map<String, Value> {
    object(json!({ "user_id": user.id, "user_email": user.email(), "user_phone": user.phone() }))
}

async fn check_free(app: &App, params: &Params, aud: &str) -> Result<()> {
    let mut conn = app.db.get().await?;
    if !params.email.is_empty() {
        let own_domains = app.config.experimental.own_linking_domains();
        let holder = User::find_holder(&mut conn, &params.email, aud, None, &own_domains).await;
        if holder.public("Database error checking email")?.is_some() {
            return Err(super::email_exists());
        }
    }
    if !params.phone.is_empty() {
        let holder = User::find_by_phone(&mut conn, &params.phone, aud).await;
        if holder.public("Database error checking phone")?.is_some() {
            return Err(phone_taken());
        }
    }
    Ok(())
}

fn new_id(id: &str) -> Result<Option<Uuid>> {
    if id.is_empty() {
        return Ok(None);
    }
    match Uuid::try_parse(id) {
        Err(_) => Err(invalid("ID must conform to the uuid v4 format")),
        Ok(id) if id.is_nil() => Err(invalid("ID cannot be a nil uuid")),
        Ok(id) => Ok(Some(id)),
    }
}

/// The hash of a new account's password: given, made, or of a password that nobody knows.
async fn new_hash(app: &App, params: &Params) -> Result<String> {
    match (
        params.password.as_deref().unwrap_or_default(),
        params.password_hash.as_str(),
    ) {
        (_, hash) if params.password.is_some() && !hash.is_empty() => Err(invalid(
            "Only a password or a password hash should be provided",
        )),
        ("", "") => Ok(app.hasher.unusable_hash()),
        ("", hash) => match PasswordHash::parse(hash) {
            Ok(_) => Ok(hash.to_owned()),
            Err(reason) => Err(invalid(format!("Password hash is not valid: {reason}"))),
        },
        (password, _) if password.len() > MAX_LENGTH => {
            Err(invalid("bcrypt: password length exceeds 72 bytes"))
        }
        (password, _) => app.hasher.hash(password, None).await,
    }
}

/// Changes an account. Addresses change at once, without a mail.
pub async fn update(app: &App, admin: &Admin, user: &User, mut params: Params) -> Result<User> {
    params.normalise()?;
    let now = app.clock.now();
    let banned_until = params.banned_until(now)?;
    let password = match params.password.as_deref() {
        None => None,
        Some(password) => {
            policy::check_password(app, password).await?;
            Some(if password.is_empty() {
                None
            } else {
                let hash = app.hasher.hash(password, None).await?;
                Some(at_rest::seal(app, user.id, &hash))
            })
        }
    };

    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = User::lock(tx, user.id).await?.ok_or_else(signup::gone)?;
        let before = user.clone();
        if !params.role.is_empty() {
            params.role.trim().clone_into(&mut user.role);
        }
        if params.email_confirm {
            user.confirm(now);
        }
        if params.phone_confirm {
            user.confirm_phone(now);
        }
        if params.email_confirm || params.phone_confirm {
            OneTimeToken::clear_confirmed(tx, user.id).await?;
        }
        let first_password = user.password().is_none() && matches!(password, Some(Some(_)));
        if let Some(hash) = password {
            user.set_password(hash);
            OneTimeToken::clear_all(tx, user.id).await?;
            Session::sign_out(tx, user.id, Scope::Global, None, &[]).await?;
        }
        set_contacts(tx, &mut user, &params, now).await?;
        if first_password {
            ensure_email_identity(app, tx, &mut user, now).await?;
        }
        user.merge_app_metadata(params.app_metadata.unwrap_or_default());
        user.merge_user_metadata(params.user_metadata.unwrap_or_default());
        if let Some(until) = banned_until {
            user.ban(until);
        }
        app.audit(
            tx,
            Actor::Admin(&admin.role),
            Action::UserModified,
            Some(contact_traits(&user).into()),
            now,
        )
        .await?;
        user.save(tx, &before, now)
            .await
            .on_constraint("users_email_partial_key", super::email_exists)
            .on_constraint("users_phone_key", phone_taken)?;
        Ok(user)
    })
    .await
    .public("Error updating user")
}

/// Sets e-mail address and phone number, each with its identity.
async fn set_contacts(
    tx: &mut Conn,
    user: &mut User,
    params: &Params,
    now: Timestamp,
) -> Result<()> {
    if !params.email.is_empty() {
        let claims = json!({ "email": params.email, "email_verified": params.email_confirm });
        let new = Identity::of_email(user.id, &params.email, params.email_confirm, now);
        set_identity(tx, user, EMAIL, claims, new).await?;
        if params.email != user.email() {
            // What was sent to the old address proves nothing of the new one.
            OneTimeToken::clear_confirmed(tx, user.id).await?;
        }
        user.is_anonymous &= !params.email_confirm;
        user.email = Some(params.email.clone());
    }
    if !params.phone.is_empty() {
        let claims = json!({ "phone": params.phone, "phone_verified": params.phone_confirm });
        let new = Identity::of_phone(user.id, &params.phone, params.phone_confirm, now);
        set_identity(tx, user, PHONE, claims, new).await?;
        user.is_anonymous &= !params.phone_confirm;
        user.phone = Some(params.phone.clone());
    }
    Ok(())
}

/// Merges claims into the user's own identity at a provider, or gives the user `new`. The answer keeps showing an
/// identity that was there before as it was (GoTrue changes a copy).
async fn set_identity(
    tx: &mut Conn,
    user: &mut User,
    provider: &str,
    claims: Value,
    new: Identity,
) -> Result<()> {
    match user.own_identity(provider).cloned() {
        Some(mut identity) => identity.merge(tx, object(claims)).await?,
        None => {
            new.insert(tx).await.public("Error creating identity")?;
            user.identities.push(new);
        }
    }
    Ok(())
}

/// Removes an account. Softly: the row stays, and nothing in it says who it was.
pub async fn delete(app: &App, admin: &Admin, user: &User, softly: bool) -> Result<()> {
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let now = app.clock.now();
        let Some(mut user) = User::lock(tx, user.id).await? else {
            return Err(not_found(Code::UserNotFound, "User not found"));
        };
        let traits = Value::Object(contact_traits(&user));
        app.audit(
            tx,
            Actor::Admin(&admin.role),
            Action::UserDeleted,
            Some(traits),
            now,
        )
        .await?;
        if !softly {
            User::delete(tx, user.id)
                .await
                .public("Database error deleting user")?;
            return Ok(());
        }
        if user.deleted_at.is_some() {
            return Ok(());
        }
        let before = user.clone();
        user.soft_delete(now);
        user.save(tx, &before, now)
            .await
            .public("Error soft deleting user")?;
        OneTimeToken::clear_all(tx, user.id)
            .await
            .public("Error soft deleting user")?;
        for identity in &user.identities {
            let subject = obfuscate(
                user.id,
                &format!("{}:{}", identity.provider, identity.provider_id),
            );
            identity
                .obfuscate(tx, &subject)
                .await
                .public("Error soft deleting user identities")?;
        }
        User::delete_factors(tx, user.id)
            .await
            .public("Error deleting user's factors")?;
        Session::sign_out(tx, user.id, Scope::Global, None, &[])
            .await
            .public("Error deleting user's sessions")
    })
    .await
}
