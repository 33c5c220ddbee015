//! The refresh that nothing speaks against, which nearly all are: one statement, shared with others that wait.

use uuid::Uuid;

use super::{decision, grant};
use crate::app::App;
use crate::auth::Client;
use crate::auth::grant::{Grant, prefix};
use crate::clock::Timestamp;
use crate::crypto::refresh_token::{RefreshKey, RefreshToken as Token, SignedToken};
use crate::error::{Error, Result, failed};
use crate::models::audit_log_entry::Action;
use crate::models::refresh_token::{Exchange, Exchanged, Stored};

/// Exchanges the token if nothing speaks against it. `None`: nothing has happened, and it is to be decided why.
pub(super) async fn exchange(
    app: &App,
    client: &Client,
    token: &Token<'_>,
) -> Result<Option<Grant>> {
    let sessions = &app.config.sessions;
    if !app.config.truegate.batch || sessions.single_per_user || sessions.allow_low_aal.is_some() {
        return Ok(None);
    }
    let exchanged = match token {
        Token::Stored(token) => exchange_stored(app, client, token).await,
        Token::Signed(token) => exchange_signed(app, client, token).await,
    };
    match exchanged {
        // Whoever decides will meet the failure again, and name it.
        Err(Error::Failed(_)) => Ok(None),
        other => other,
    }
}

async fn exchange_stored(app: &App, client: &Client, token: &str) -> Result<Option<Grant>> {
    if decision::may_upgrade(app) {
        return Ok(None);
    }
    let now = app.clock.now();
    let child = Token::generate();
    let stored = Stored {
        token: token.to_owned(),
        child: child.clone(),
    };
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    let asked = prepare(app, client, stored, ids, now);
    let Some(Exchanged { user, session, .. }) = app.batches.stored_tokens.ask(asked).await? else {
        return Ok(None);
    };
    let actions = [Action::TokenRefreshed, Action::TokenRevoked];
    app.log_audit(&user, ids.into_iter().zip(actions), now);
    let headers = vec![
        ("sb-auth-user-id", user.id.to_string()),
        ("sb-auth-session-id", session.id.to_string()),
        ("sb-auth-refresh-token-reuse", "false".into()),
        ("sb-auth-refresh-token-prefix", prefix(&child)),
    ];
    Ok(Some(grant(app, user, session, child, headers, now)))
}

async fn exchange_signed(app: &App, client: &Client, token: &SignedToken) -> Result<Option<Grant>> {
    if app.vault.seals() {
        // Postgres reads only keys that are plain, and those are to be sealed now.
        return Ok(None);
    }
    let now = app.clock.now();
    let ids = [Uuid::new_v4(), Uuid::nil()];
    let asked = prepare(app, client, token.clone(), ids, now);
    let Some(Exchanged { user, session, .. }) = app.batches.signed_tokens.ask(asked).await? else {
        return Ok(None);
    };
    app.log_audit(&user, ids.into_iter().zip([Action::TokenRefreshed]), now);
    let counter = token.counter + 1;
    let key = session.refresh_token_hmac_key.as_deref();
    let answer = key
        .and_then(RefreshKey::decode)
        .map(|key| SignedToken::sign(session.id, counter, &key).encode())
        .ok_or_else(|| {
            failed(
                "Refresh token is not valid",
                anyhow::anyhow!("a key that Postgres could read"),
            )
        })?;
    let headers = vec![
        ("sb-auth-user-id", user.id.to_string()),
        ("sb-auth-session-id", session.id.to_string()),
        ("sb-auth-refresh-token-reuse", "false".into()),
        ("sb-auth-refresh-token-counter", counter.to_string()),
    ];
    Ok(Some(grant(app, user, session, answer, headers, now)))
}

fn prepare<T>(app: &App, client: &Client, token: T, ids: [Uuid; 2], now: Timestamp) -> Exchange<T> {
    let sessions = &app.config.sessions;
    Exchange {
        token,
        at: now,
        began_after: sessions.timebox.map(|limit| now - limit),
        refreshed_after: sessions.inactivity_timeout.map(|limit| now - limit),
        user_agent: client.user_agent.clone(),
        ip: client.ip,
        audit: (!app.config.audit_log.disable_postgres).then_some(ids),
    }
}
