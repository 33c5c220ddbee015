//! Signing up with an e-mail address, with a phone number, or as nobody yet.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::grant::{Grant, SignIn, issue, provider_trait};
use super::mailing::{self, Purpose};
use super::{Client, address, invalid, parse_challenge, policy};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::pkce::Challenge;
use crate::db::Conn;
use crate::error::{
    Code, Context, Error, OnConstraint, Result, UNEXPECTED_FAILURE, bad_request, failed,
    unprocessable,
};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::flow_state::FlowState;
use crate::models::identity::{EMAIL, Identity, PHONE};
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;
use diesel_async::AsyncConnection;

/// What a newcomer sends.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// An e-mail address, or "".
    pub email: String,
    /// A phone number, or "".
    pub phone: String,
    /// The password.
    pub password: Password,
    /// Becomes `user_metadata`.
    pub data: Map<String, Value>,
    /// `sms` or `whatsapp`, for phones.
    pub channel: String,
    /// The PKCE challenge, or "".
    pub code_challenge: String,
    /// Its method, or "".
    pub code_challenge_method: String,
}

/// The password of a newcomer.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// Who signs in by links has none: no password fits.
    #[default]
    Nobodys,
    /// The newcomer's choice.
    Chosen(String),
}

impl Password {
    async fn hash(&self, app: &App) -> Result<String> {
        match self {
            Self::Nobodys => Ok(app.hasher.unusable_hash()),
            Self::Chosen(password) => app.hasher.hash(password).await,
        }
    }
}

/// What comes of a sign-up.
#[derive(Debug)]
pub enum SignedUp {
    /// Confirmed at once, and signed in.
    In(Box<Grant>),
    /// The address has yet to be confirmed; or nobody may learn that it is taken, and this user is made up.
    Pending(Box<User>),
}

/// Signs up with an e-mail address or a phone number.
pub async fn sign_up(app: &App, client: &Client, mut params: Params) -> Result<SignedUp> {
    if app.config.disable_signup {
        return Err(signup_disabled());
    }
    if let Password::Chosen(password) = &params.password {
        if password.is_empty() {
            return Err(invalid("Signup requires a valid password"));
        }
        policy::check_password(app, password).await?;
    }
    if !params.email.is_empty() && !params.phone.is_empty() {
        return Err(invalid(
            "Only an email address or phone number should be provided on signup.",
        ));
    }
    if !params.phone.is_empty() {
        address::check_channel(app, &params.channel)?;
        if !params.code_challenge.is_empty() {
            return Err(invalid("PKCE not supported for phone signups"));
        }
    }
    let code_challenge = std::mem::take(&mut params.code_challenge);
    let challenge = parse_challenge(&code_challenge, &params.code_challenge_method)?;
    if params.email.is_empty() {
        return sign_up_by_phone(app, client, params).await;
    }
    if !app.config.external.email_enabled {
        return Err(bad_request(
            Code::EmailProviderDisabled,
            "Email signups are disabled",
        ));
    }
    params.email = address::parse_email(&params.email)?;
    sign_up_by_email(app, client, params, challenge.as_ref()).await
}

/// Signs in as nobody yet.
pub async fn sign_up_anonymously(
    app: &App,
    client: &Client,
    data: Map<String, Value>,
) -> Result<Grant> {
    if app.config.disable_signup {
        return Err(signup_disabled());
    }
    let now = app.clock.now();
    let mut user = User::new(&client.aud, None, None, now);
    user.is_anonymous = true;
    user.encrypted_password = Some(String::new());
    user.role.clone_from(&app.config.jwt.default_group_name);
    user.user_metadata = data;
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        user.insert(tx).await?;
        let sign_in = SignIn {
            method: Method::Anonymous,
            audit: Vec::new(),
            password: None,
        };
        issue(app, tx, client, user, sign_in, now)
            .await?
            .ok_or_else(gone)
    })
    .await
    .public("Database error creating anonymous user")
}

/// An account that nobody has confirmed yet, with its e-mail identity; not yet in the database.
pub(super) fn new_email_user(
    app: &App,
    client: &Client,
    email: &str,
    data: Map<String, Value>,
    now: Timestamp,
) -> User {
    let mut user = User::new(&client.aud, Some(email.to_owned()), None, now);
    user.role.clone_from(&app.config.jwt.default_group_name);
    user.app_metadata = provider_metadata(EMAIL);
    user.user_metadata = data;
    user
}

fn provider_metadata(provider: &str) -> Map<String, Value> {
    crate::models::identity::object(json!({ "provider": provider, "providers": [provider] }))
}

/// The identity of a new account: the claims that we make, and what the newcomer said besides.
fn first_identity(mut identity: Identity, data: &Map<String, Value>) -> Identity {
    for (key, value) in data {
        identity
            .identity_data
            .entry(key)
            .or_insert_with(|| value.clone());
    }
    identity
}

/// Gives a user an identity, which then says all that is known of an unconfirmed user.
async fn adopt(tx: &mut Conn, user: &mut User, mut identity: Identity) -> Result<()> {
    identity
        .insert(tx)
        .await
        .public("Error creating identity")?;
    for other in user.identities.drain(..) {
        other.delete(tx).await?;
    }
    // A null in the data stays in the identity's row, and leaves the answer (GoTrue's `UpdateUserMetaData`).
    identity.identity_data.retain(|_, value| !value.is_null());
    user.user_metadata.clone_from(&identity.identity_data);
    user.identities = vec![identity];
    user.derive_providers();
    Ok(())
}

async fn sign_up_by_email(
    app: &App,
    client: &Client,
    params: Params,
    challenge: Option<&Challenge<'_>>,
) -> Result<SignedUp> {
    let autoconfirm = app.config.mailer.autoconfirm;
    let existing = {
        let mut conn = app.db.get().await?;
        User::find_holder(
            &mut conn,
            &params.email,
            &client.aud,
            None,
            &app.config.experimental.own_linking_domains(),
        )
        .await
        .public("Database error finding user")?
    };
    // Before anything is decided, so that time does not tell who has an account.
    let password = params.password.hash(app).await?;
    if let Some(existing) = existing.as_ref().filter(|user| user.is_confirmed()) {
        return repeated(app, client, existing, EMAIL, params).await;
    }
    let stationery = if autoconfirm {
        None
    } else {
        Some(mailing::prepare(app, Purpose::Confirmation, &params.email).await?)
    };

    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    let signed_up = conn
        .transaction::<_, Error, _>(async |tx| {
            let mut user = match &existing {
                // An unconfirmed account is kept as it is: nobody has proven to own it.
                Some(existing) => User::lock(tx, existing.id).await?.ok_or_else(gone)?,
                None => {
                    let mut user =
                        new_email_user(app, client, &params.email, params.data.clone(), now);
                    user.encrypted_password = Some(password);
                    insert_or_find(tx, user).await?
                }
            };
            if user.is_confirmed() {
                return Ok(Err(user));
            }
            let before = user.clone();
            if user.own_identity(EMAIL).is_none() {
                let identity = first_identity(
                    Identity::of_email(user.id, user.email(), false, now),
                    &params.data,
                );
                adopt(tx, &mut user, identity).await?;
            }
            // The answer shows no other: whoever asks has proven nothing yet.
            let id = user.id.to_string();
            user.identities
                .retain(|identity| identity.provider == EMAIL && identity.provider_id == id);
            let Some(stationery) = &stationery else {
                return confirm_and_sign_in(app, tx, client, user, &before, EMAIL, now)
                    .await
                    .map(Ok);
            };
            app.audit(
                tx,
                Actor::User(&user),
                Action::UserConfirmationRequested,
                provider_trait(EMAIL),
                now,
            )
            .await?;
            if let Some(challenge) = challenge {
                FlowState::begin(tx, user.id, EMAIL, Method::EmailSignup, challenge, now).await?;
            }
            mailing::send_code(
                app,
                tx,
                client,
                stationery,
                Purpose::Confirmation,
                &mut user,
                challenge.is_some(),
            )
            .await?;
            user.save(tx, &before, now)
                .await
                .public("Error sending confirmation email")?;
            if user.invited_at.is_some() {
                // Who was invited by somebody must not learn what that somebody knows.
                user.user_metadata.clear();
                user.identities.clear();
            }
            Ok(Ok(SignedUp::Pending(Box::new(user))))
        })
        .await?;
    drop(conn);
    match signed_up {
        Ok(signed_up) => {
            if let Some(stationery) = &stationery {
                stationery
                    .post(app)
                    .await
                    .public("Error sending confirmation email")?;
            }
            Ok(signed_up)
        }
        Err(existing) => repeated(app, client, &existing, EMAIL, params).await,
    }
}

/// Inserts a new account; where another request was quicker with the same address, its account it is.
async fn insert_or_find(tx: &mut Conn, mut user: User) -> Result<User> {
    if user
        .insert(tx)
        .await
        .public("Database error saving new user")?
    {
        return Ok(user);
    }
    let winner = User::find_by_email(tx, user.email(), &user.aud)
        .await?
        .ok_or_else(super::email_exists)?;
    User::lock(tx, winner.id).await?.ok_or_else(gone)
}

/// Confirms the new account at once and signs it in.
async fn confirm_and_sign_in(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    mut user: User,
    before: &User,
    provider: &'static str,
    now: Timestamp,
) -> Result<SignedUp> {
    let signed_up = AuditLogEntry::new(
        Actor::User(&user),
        Action::UserSignedUp,
        signup_trait(provider),
        "",
        now,
    );
    if provider == EMAIL {
        user.confirm(now);
    } else {
        user.confirm_phone(now);
    }
    OneTimeToken::clear_all(tx, user.id).await?;
    user.save(tx, before, now)
        .await
        .public("Database error updating user")?;
    // The answer shows the identity as the user's metadata says it (GoTrue shares the map).
    if let Some(identity) = user.identities.first_mut().filter(|_| provider == EMAIL) {
        identity
            .identity_data
            .insert("email_verified".into(), true.into());
    }
    let later = now + TimeDelta::microseconds(1);
    let login = AuditLogEntry::new(
        Actor::User(&user),
        Action::Login,
        provider_trait(provider),
        "",
        later,
    );
    let sign_in = SignIn {
        method: Method::Password,
        audit: app.audited([signed_up, login]),
        password: None,
    };
    let grant = issue(app, tx, client, user, sign_in, now)
        .await?
        .ok_or_else(gone)?;
    Ok(SignedUp::In(Box::new(grant)))
}

fn signup_trait(provider: &str) -> Option<Value> {
    if provider == PHONE {
        Some(json!({ "provider": provider, "channel": "sms" }))
    } else {
        provider_trait(provider)
    }
}

async fn sign_up_by_phone(app: &App, client: &Client, mut params: Params) -> Result<SignedUp> {
    if params.phone.is_empty() {
        let message = match (
            app.config.external.email_enabled,
            app.config.external.phone_enabled,
        ) {
            (true, true) => "Sign up only available with email or phone provider",
            (true, false) => "Sign up only available with email provider",
            (false, true) => "Sign up only available with phone provider",
            (false, false) => "Sign up with this provider not possible",
        };
        return Err(invalid(message));
    }
    if !app.config.external.phone_enabled {
        return Err(bad_request(
            Code::PhoneProviderDisabled,
            "Phone signups are disabled",
        ));
    }
    params.phone = address::parse_phone(&params.phone)?;
    let existing = {
        let mut conn = app.db.get().await?;
        User::find_by_phone(&mut conn, &params.phone, &client.aud)
            .await
            .public("Database error finding user")?
    };
    if let Some(existing) = existing.as_ref().filter(|user| user.is_phone_confirmed()) {
        return repeated(app, client, existing, PHONE, params).await;
    }
    if !app.config.sms.autoconfirm {
        return Err(address::no_sms("confirmation"));
    }
    let password = params.password.hash(app).await?;
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let mut user = match &existing {
            Some(existing) => User::lock(tx, existing.id).await?.ok_or_else(gone)?,
            None => {
                let mut user = User::new(&client.aud, None, Some(params.phone.clone()), now);
                user.role.clone_from(&app.config.jwt.default_group_name);
                user.app_metadata = provider_metadata(PHONE);
                user.user_metadata.clone_from(&params.data);
                user.encrypted_password = Some(password);
                user.insert(tx)
                    .await
                    .on_constraint("users_phone_key", || {
                        unprocessable(Code::UserAlreadyExists, "User already registered")
                    })
                    .public("Database error saving new user")?;
                user
            }
        };
        let before = user.clone();
        if user.own_identity(PHONE).is_none() {
            let mut identity = Identity::of_phone(user.id, "", false, now);
            // GoTrue's claims of a phone sign-up name the (empty) e-mail address rather than the phone.
            identity.identity_data.remove("phone");
            adopt(tx, &mut user, first_identity(identity, &params.data)).await?;
        }
        confirm_and_sign_in(app, tx, client, user, &before, PHONE, now).await
    })
    .await
}

/// Somebody signs up with an address that is taken and confirmed. Where addresses are confirmed at once there is
/// nothing to hide; elsewhere the answer looks like a fresh sign-up.
async fn repeated(
    app: &App,
    client: &Client,
    user: &User,
    provider: &'static str,
    params: Params,
) -> Result<SignedUp> {
    let now = app.clock.now();
    {
        let mut conn = app.db.get().await?;
        app.audit(
            &mut conn,
            Actor::User(user),
            Action::UserRepeatedSignUp,
            provider_trait(provider),
            now,
        )
        .await?;
    }
    if app.config.mailer.autoconfirm || app.config.sms.autoconfirm {
        return Err(unprocessable(
            Code::UserAlreadyExists,
            "User already registered",
        ));
    }
    let mut invented = User::new(&client.aud, None, None, now);
    invented.id = Uuid::new_v4();
    invented.confirmation_sent_at = Some(now);
    invented.app_metadata = provider_metadata(provider);
    invented.user_metadata = params.data;
    if provider == EMAIL {
        invented.email = Some(params.email);
    } else {
        invented.phone = Some(params.phone);
    }
    Ok(SignedUp::Pending(Box::new(invented)))
}

pub(super) fn signup_disabled() -> Error {
    unprocessable(
        Code::SignupDisabled,
        "Signups not allowed for this instance",
    )
}

/// The account has gone between two looks at it.
pub(super) fn gone() -> Error {
    failed(UNEXPECTED_FAILURE, anyhow::anyhow!("the user has gone"))
}
