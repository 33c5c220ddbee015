//! Signing in with a password.

use std::borrow::Cow;

use super::grant::{Grant, SignIn, issue, provider_trait};
use super::{Client, address, invalid, policy};
use crate::app::App;
use crate::error::{Code, Context, Error, Result, bad_request, unprocessable};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::identity::{EMAIL, PHONE};
use crate::models::session::Checked;
use crate::models::user::User;

pub mod at_rest;

/// How often a sign-in looks again at an account that changed under its eyes.
const ATTEMPTS: usize = 3;

/// Signs in by e-mail address or phone number. Who does not exist, has no password or gives a wrong one gets the
/// same answer after the same work.
pub async fn sign_in(
    app: &App,
    client: &Client,
    email: &str,
    phone: &str,
    password: &str,
) -> Result<Grant> {
    let provider = provider_of(app, email, phone)?;
    for _ in 0..ATTEMPTS {
        // None: another sign-in has hashed the password anew, or it is another password by now.
        if let Some(grant) = attempt(app, client, provider, email, phone, password).await? {
            return Ok(grant);
        }
    }
    Err(wrong())
}

async fn attempt(
    app: &App,
    client: &Client,
    provider: &'static str,
    email: &str,
    phone: &str,
    password: &str,
) -> Result<Option<Grant>> {
    let user = find(app, client, email, phone)
        .await
        .public("Database error querying schema")?;
    let now = app.clock.now();
    let user = user.filter(|user| user.password().is_some());
    let banned = user.as_ref().is_some_and(|user| user.is_banned(now));
    let stored = user.as_ref().and_then(User::password).map(str::to_owned);
    let hash = match &user {
        Some(user) => at_rest::open(app, user)?.map(Cow::into_owned),
        None => None,
    };
    let verified = app
        .hasher
        .verify(password, hash.as_deref(), client.ip)
        .await?;
    let Some(((user, stored), hash)) = user.zip(stored).zip(hash) else {
        return Err(wrong());
    };
    if banned {
        return Err(bad_request(Code::UserBanned, "User is banned"));
    }
    if !verified {
        return Err(wrong());
    }
    if provider == EMAIL && !user.is_confirmed() {
        return Err(bad_request(Code::EmailNotConfirmed, "Email not confirmed"));
    }
    if provider == PHONE && !user.is_phone_confirmed() {
        return Err(bad_request(Code::PhoneNotConfirmed, "Phone not confirmed"));
    }
    let weak = policy::assess(app, password).await.unwrap_or_else(|error| {
        tracing::warn!(?error, "password strength check on sign-in failed");
        None
    });
    let anew = at_rest::renew(app, user.id, password, &stored, &hash, client.ip).await;

    let now = app.clock.now();
    let audit = app.audited([AuditLogEntry::new(
        Actor::User(&user),
        Action::Login,
        provider_trait(provider),
        "",
        now,
    )]);
    let conn = app.db.get().await?;
    let sign_in = SignIn {
        method: Method::Password,
        audit,
        password: Some(Checked {
            hash: &stored,
            anew: anew.as_deref(),
        }),
    };
    let grant = issue(app, &conn, client, user, sign_in, now).await?;
    Ok(grant.map(|grant| Grant {
        weak_password: Some(weak),
        ..grant
    }))
}

/// Looks at some stored passwords, so that a sign-in that must fail takes the time of the dearest hashes from the
/// first one on.
pub async fn learn_hashes(app: &App) -> Result<()> {
    let sample = User::sample_passwords(&mut *app.db.get().await?).await?;
    for (id, stored) in sample {
        if let Ok(hash) = app.vault.open(id, &stored) {
            app.hasher.saw(&hash);
        }
    }
    Ok(())
}

fn wrong() -> Error {
    bad_request(Code::InvalidCredentials, "Invalid login credentials")
}

fn provider_of(app: &App, email: &str, phone: &str) -> Result<&'static str> {
    match (email, phone) {
        ("", "") => Err(invalid("missing email or phone")),
        (_, "") if !app.config.external.email_enabled => Err(unprocessable(
            Code::EmailProviderDisabled,
            "Email logins are disabled",
        )),
        (_, "") => Ok(EMAIL),
        ("", _) if !app.config.external.phone_enabled => Err(unprocessable(
            Code::PhoneProviderDisabled,
            "Phone logins are disabled",
        )),
        ("", _) => Ok(PHONE),
        _ => Err(invalid(
            "Only an email address or phone number should be provided on login.",
        )),
    }
}

async fn find(app: &App, client: &Client, email: &str, phone: &str) -> Result<Option<User>> {
    let mut conn = app.db.get().await?;
    Ok(if email.is_empty() {
        User::find_by_phone(&mut conn, &address::normalise_phone(phone), &client.aud).await?
    } else {
        User::find_by_email(&conn, email, &client.aud).await?
    })
}
