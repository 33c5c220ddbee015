//! Trading a refresh token for a new one.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::bearer::lifetime;
use super::grant::{Grant, amr, expiry};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::refresh_token::{RefreshKey, RefreshToken as Token};
use crate::crypto::secrets::generate_below;
use crate::db::Conn;
use crate::error::{Code, Error, Result, bad_request, conflict, failed, oauth};
use crate::models::refresh_token::{Presented, RefreshToken, Visit};
use crate::models::session::{Expired, Session};
use crate::models::user::User;

mod decision;
mod exchange;

use decision::{Decision, Generated};

/// How long a refresh waits while others hold its rows (GoTrue's `retryLoopDuration`).
const PATIENCE: Duration = Duration::from_secs(5);

/// Trades a refresh token for a new one; a stolen token seen again burns its session.
///
/// One statement does it where nothing speaks against it. Else: reads once, decides, and writes once, guarded by what
/// was read; when another request was quicker, all over again.
pub async fn refresh(app: &App, client: &Client, token: &str) -> Result<Grant> {
    let Some(token) = Token::parse(token) else {
        return Err(bad_request(
            Code::ValidationFailed,
            "Refresh token is not valid",
        ));
    };
    if let Some(grant) = exchange::exchange(app, client, &token).await? {
        return Ok(grant);
    }
    // Boxed, as it is rare and large.
    Box::pin(decide(app, client, &token)).await
}

async fn decide(app: &App, client: &Client, token: &Token<'_>) -> Result<Grant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refused = match attempt(app, client, token).await? {
            Attempt::Granted(grant) => return Ok(*grant),
            Attempt::Refused(error) => return Err(error),
            Attempt::Overtaken(headers) => headers,
        };
        if Instant::now() >= deadline {
            let error = conflict(
                Code::Conflict,
                "Too many concurrent token refresh requests on the same session or refresh token",
            );
            return Err(with_headers(error, refused));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "rows that another request holds are tried again, as in GoTrue, not waited for"
        )]
        tokio::time::sleep(Duration::from_millis(10 + generate_below(20))).await;
    }
}

enum Attempt {
    Granted(Box<Grant>),
    Refused(Error),
    /// Another request holds or has changed the rows; the headers name user and session.
    Overtaken(Headers),
}

type Headers = Vec<(&'static str, String)>;

fn with_headers(error: Error, headers: Headers) -> Error {
    headers
        .into_iter()
        .fold(error, |error, (name, value)| error.with_header(name, value))
}

async fn attempt(app: &App, client: &Client, token: &Token<'_>) -> Result<Attempt> {
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    let found = match token {
        Token::Stored(token) => RefreshToken::find(&mut conn, token).await,
        Token::Signed(token) => RefreshToken::find_session(&mut conn, token.session_id).await,
    };
    let found = found.map_err(|cause| failed(cause.to_string(), cause))?;
    let session = found.as_ref().and_then(|found| found.session.as_ref());
    let key = match session {
        Some(session) if needs_key(app, token) => open_key(app, session)?,
        _ => None,
    };
    let Some(presented) = found.filter(|found| is_genuine(token, found, key.as_ref())) else {
        return Ok(Attempt::Refused(bad_request(
            Code::RefreshTokenNotFound,
            "Invalid Refresh Token: Refresh Token Not Found",
        )));
    };

    let mut headers = vec![("sb-auth-user-id", presented.user.id.to_string())];
    if presented.user.is_banned(now) {
        let error = bad_request(Code::UserBanned, "Invalid Refresh Token: User Banned");
        return Ok(Attempt::Refused(with_headers(error, headers)));
    }
    let Some(session) = presented.session.clone() else {
        if let Some(orphan) = &presented.token {
            orphan.delete(&mut conn).await?;
        }
        let error = bad_request(
            Code::SessionNotFound,
            "Invalid Refresh Token: No Valid Session Found",
        );
        return Ok(Attempt::Refused(with_headers(error, headers)));
    };
    headers.push(("sb-auth-session-id", session.id.to_string()));
    if let Err(error) = check_session(app, &mut conn, &presented, &session, now).await? {
        return Ok(Attempt::Refused(with_headers(error, headers)));
    }

    let named = headers.clone();
    let generated = Generated::new(app, session.id);
    let decision = match token {
        Token::Stored(_) => {
            let key = key.as_ref();
            decision::stored(
                app,
                &presented,
                &session,
                key,
                &generated,
                now,
                &mut headers,
            )
        }
        Token::Signed(token) => {
            decision::signed(app, &presented, &session, key, token, now, &mut headers)
        }
    };
    match decision {
        Decision::Refuse(error) => Ok(Attempt::Refused(with_headers(error, headers))),
        Decision::Burn => {
            if app.config.security.refresh_token_rotation_enabled
                && !presented.burn(&mut conn, &session, now).await?
            {
                return Ok(Attempt::Overtaken(named));
            }
            if app.config.security.refresh_token_rotation_enabled && presented.token.is_none() {
                headers.push(("sb-auth-refresh-token-rotated", "true".into()));
            }
            let error = bad_request(
                Code::RefreshTokenAlreadyUsed,
                "Invalid Refresh Token: Already Used",
            );
            Ok(Attempt::Refused(with_headers(error, headers)))
        }
        Decision::Rotate { rotation, answer } => {
            let visit = Visit {
                user_agent: client.user_agent.as_deref(),
                ip: client.ip,
                at: now,
            };
            if !presented
                .rotate(&mut conn, &session, &rotation, visit)
                .await?
            {
                return Ok(Attempt::Overtaken(named));
            }
            Ok(Attempt::Granted(Box::new(grant(
                app,
                presented.user,
                session,
                answer,
                headers,
                now,
            ))))
        }
    }
}

/// Whether the decision asks for the key of the session's version 2 tokens.
fn needs_key(app: &App, token: &Token<'_>) -> bool {
    match token {
        Token::Stored(_) => decision::may_upgrade(app),
        Token::Signed(_) => true,
    }
}

/// The key of the session's version 2 tokens, if it has a readable one. A seal that does not open is a failure and no
/// refusal: a key that the operator forgot to configure must sign nobody out.
fn open_key(app: &App, session: &Session) -> Result<Option<RefreshKey>> {
    let Some(stored) = session.refresh_token_hmac_key.as_deref() else {
        return Ok(None);
    };
    let opened = app.vault.open(session.id, stored);
    Ok(RefreshKey::decode(&opened.map_err(anyhow::Error::from)?))
}

/// A version 2 token must carry the signature of its session's own key.
fn is_genuine(token: &Token<'_>, presented: &Presented, key: Option<&RefreshKey>) -> bool {
    match token {
        Token::Stored(_) => true,
        Token::Signed(token) => presented
            .session
            .as_ref()
            .filter(|session| session.refresh_token_counter.is_some())
            .and(key)
            .is_some_and(|key| token.is_signed_by(key)),
    }
}

/// May this session be refreshed at all?
async fn check_session(
    app: &App,
    conn: &mut Conn,
    presented: &Presented,
    session: &Session,
    now: Timestamp,
) -> Result<Result<(), Error>> {
    let expired = |suffix: &str| {
        bad_request(
            Code::SessionExpired,
            format!("Invalid Refresh Token: Session Expired{suffix}"),
        )
    };
    let token_time = presented.token.as_ref().map(|token| token.updated_at);
    let has_mfa = presented.user.has_mfa();
    match session.expired(&lifetime(app), has_mfa, token_time, now) {
        None => {}
        Some(Expired::Ended) => return Ok(Err(expired(""))),
        Some(Expired::Inactive) => return Ok(Err(expired(" (Inactivity)"))),
        Some(Expired::LowAal) => {
            return Ok(Err(expired(" (Low AAL: User Needs MFA Verification)")));
        }
    }
    if session.oauth_client_id.is_some_and(|id| !id.is_nil()) {
        let why = "Client authentication required for OAuth session";
        return Ok(Err(oauth("invalid_client", why)));
    }
    if app.config.sessions.single_per_user {
        let tags = &app.config.sessions.tags;
        let newer = Session::of_user(conn, presented.user.id)
            .await?
            .into_iter()
            .any(|other| {
                other.id != session.id
                    && other.expired(&lifetime(app), has_mfa, None, now).is_none()
                    && other.effective_tag(tags) == session.effective_tag(tags)
                    && other.last_refreshed_at(None) > session.last_refreshed_at(token_time)
            });
        if newer {
            return Ok(Err(expired(" (Revoked by Newer Login)")));
        }
    }
    Ok(Ok(()))
}

fn grant(
    app: &App,
    user: User,
    session: Session,
    refresh_token: String,
    headers: Headers,
    now: Timestamp,
) -> Grant {
    let aal = session.reached();
    Grant {
        session_id: session.id,
        aal,
        amr: amr(&session, &user),
        refresh_token,
        issued_at: now,
        expires_at: expiry(app, &user, session.created_at, aal, now),
        scope: session.scopes,
        weak_password: None,
        provider_tokens: None,
        headers,
        user,
    }
}
