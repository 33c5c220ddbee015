//! What a successful sign-in or refresh gives: a session, a refresh token, and the claims of an access token.

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Client;
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::jwt::{Amr, Claims};
use crate::crypto::password::Weak;
use crate::crypto::refresh_token::{RefreshKey, RefreshToken, SignedToken};
use crate::db::Conn;
use crate::error::{Context, Result, UNEXPECTED_FAILURE};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::AuditLogEntry;
use crate::models::session::{Aal, Checked, NewSession, Session};
use crate::models::user::User;

/// How and when a session was authenticated: a member of the token's `amr`.
#[derive(Debug)]
pub struct Reference {
    /// The method's name.
    pub method: String,
    /// When it was last used, in Unix seconds.
    pub timestamp: i64,
    /// The SSO provider's id.
    pub provider: Option<String>,
}

impl Reference {
    fn claim(&self) -> Amr<'_> {
        Amr {
            method: &self.method,
            timestamp: self.timestamp,
            provider: self.provider.as_deref(),
        }
    }
}

/// Everything that the answer to a sign-in or a refresh is made of. The access token is signed when the grant
/// is rendered, so that no transaction waits for it.
#[derive(Debug)]
pub struct Grant {
    /// Who signed in.
    pub user: User,
    /// The session's id.
    pub session_id: Uuid,
    /// The level the session has reached.
    pub aal: Aal,
    /// How it was authenticated, newest first.
    pub amr: Vec<Reference>,
    /// To be shown once.
    pub refresh_token: String,
    /// When the access token is issued.
    pub issued_at: Timestamp,
    /// When the access token ends.
    pub expires_at: Timestamp,
    /// Scopes of an OAuth session.
    pub scope: Option<String>,
    /// The password was right, and is weak by today's rules. Present for password sign-ins only.
    pub weak_password: Option<Option<Weak>>,
    /// The external provider's tokens, handed through.
    pub provider_tokens: Option<(String, Option<String>)>,
    /// The `sb-auth-*` response headers that speak of this grant.
    pub headers: Vec<(&'static str, String)>,
}

impl Grant {
    /// The signed access token.
    pub async fn access_token(&self, app: &App) -> Result<String> {
        let user = &self.user;
        let amr: Vec<Amr<'_>> = self.amr.iter().map(Reference::claim).collect();
        let claims = Claims {
            iss: app.config.jwt.issuer.as_deref().unwrap_or_default(),
            sub: user.id,
            aud: &user.aud,
            exp: self.expires_at.timestamp(),
            iat: self.issued_at.timestamp(),
            email: user.email(),
            phone: user.phone(),
            app_metadata: &user.app_metadata,
            user_metadata: &user.user_metadata,
            role: &user.role,
            aal: self.aal.as_str(),
            amr: &amr,
            session_id: self.session_id,
            is_anonymous: user.is_anonymous,
            client_id: None,
            scope: self.scope.as_deref(),
        };
        let message = app.keys.message(&claims)?;
        let token = if app.keys.is_slow() {
            let app = app.clone();
            let signing = spawn_blocking(move || app.keys.sign_message(message));
            signing.await.map_err(anyhow::Error::from)?
        } else {
            app.keys.sign_message(message)
        };
        token.public("error generating jwt token")
    }

    /// How long the access token lives from when it is issued, in seconds.
    #[must_use]
    pub fn expires_in(&self) -> i64 {
        self.expires_at.timestamp() - self.issued_at.timestamp()
    }
}

/// When an access token of this session ends. Where aal1 is only tolerated for a while, it may not outlive that.
#[must_use]
pub fn expiry(
    app: &App,
    user: &User,
    created_at: Timestamp,
    aal: Aal,
    now: Timestamp,
) -> Timestamp {
    let end = now + *app.config.jwt.exp;
    match app.config.sessions.allow_low_aal {
        Some(tolerated) if aal < Aal::Two && user.has_mfa() => end.min(created_at + tolerated),
        _ => end,
    }
}

/// A sign-in that is about to happen.
#[derive(Debug)]
pub struct SignIn<'a> {
    /// How the user proved who it is.
    pub method: Method,
    /// Entries of the audit log that go with it.
    pub audit: Vec<AuditLogEntry>,
    /// The password, where that was the proof.
    pub password: Option<Checked<'a>>,
}

/// Opens a session for a user. `None` when the user has gone, was banned, or has another password by now.
pub async fn issue(
    app: &App,
    conn: &Conn,
    client: &Client,
    mut user: User,
    sign_in: SignIn<'_>,
    now: Timestamp,
) -> Result<Option<Grant>> {
    let session_id = Uuid::new_v4();
    let mut headers = vec![
        ("sb-auth-user-id", user.id.to_string()),
        ("sb-auth-session-id", session_id.to_string()),
    ];
    let (refresh_token, hmac_key) = if app.config.security.refresh_token_algorithm_version == 2 {
        let (key, encoded) = RefreshKey::generate();
        headers.push(("sb-auth-refresh-token-counter", "0".to_owned()));
        (
            SignedToken::sign(session_id, 0, &key).encode(),
            Some(Zeroizing::new(app.vault.seal(session_id, &encoded))),
        )
    } else {
        let token = RefreshToken::generate();
        headers.push(("sb-auth-refresh-token-prefix", prefix(&token)));
        (token, None)
    };
    let opened = NewSession {
        id: session_id,
        user_id: user.id,
        method: sign_in.method,
        refresh_token: hmac_key.is_none().then_some(refresh_token.as_str()),
        hmac_key: hmac_key.as_ref().map(|key| key.as_str()),
        user_agent: client.user_agent.as_deref(),
        ip: client.ip,
        audit: sign_in.audit,
        password: sign_in.password,
    }
    .insert(conn, now)
    .await
    .public(UNEXPECTED_FAILURE)?;
    if !opened {
        return Ok(None);
    }
    user.last_sign_in_at = Some(now);
    user.updated_at = now;
    Ok(Some(Grant {
        session_id,
        aal: Aal::One,
        amr: vec![Reference {
            method: sign_in.method.to_string(),
            timestamp: now.timestamp(),
            provider: None,
        }],
        refresh_token,
        issued_at: now,
        expires_at: expiry(app, &user, now, Aal::One, now),
        scope: None,
        weak_password: None,
        provider_tokens: None,
        headers,
        user,
    }))
}

/// The methods of a session as the token's `amr`, newest first.
#[must_use]
pub fn amr(session: &Session, user: &User) -> Vec<Reference> {
    let sso_provider = match user.identities.as_slice() {
        [only] => only.provider.strip_prefix("sso:"),
        _ => None,
    };
    session
        .amr
        .iter()
        .map(|claim| Reference {
            provider: sso_provider
                .filter(|_| claim.authentication_method == Method::SsoSaml.as_str())
                .map(str::to_owned),
            method: claim.authentication_method.clone(),
            timestamp: claim.updated_at.timestamp(),
        })
        .collect()
}

/// The part of a refresh token that answers and logs may show.
#[must_use]
pub fn prefix(token: &str) -> String {
    token.chars().take(5).collect()
}

/// The trait of most sign-ins in the audit log.
#[must_use]
pub fn provider_trait(provider: &str) -> Option<Value> {
    Some(json!({ "provider": provider }))
}
