//! What becomes of a refresh token that was presented, decided from what was read alone.

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::Headers;
use crate::app::App;
use crate::auth::grant::prefix;
use crate::clock::Timestamp;
use crate::crypto::refresh_token::{RefreshKey, RefreshToken as Token, SignedToken, upgrades};
use crate::error::{Code, Error, bad_request};
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::refresh_token::{Presented, Rotation};
use crate::models::session::Session;

/// What is decided about a presented token.
pub(super) enum Decision<'a> {
    /// Write this, and answer with this token.
    Rotate {
        rotation: Rotation<'a>,
        answer: String,
    },
    /// The token was exchanged already and may not be used again: burn what descends from it, then refuse.
    Burn,
    /// Refuse, and change nothing.
    Refuse(Error),
}

/// Tokens and keys made up before the decision, so that a rotation can borrow them.
pub(super) struct Generated {
    child: String,
    key: RefreshKey,
    /// The key as the row of its session holds it.
    stored_key: Zeroizing<String>,
}

impl Generated {
    pub(super) fn new(app: &App, session_id: Uuid) -> Self {
        let (key, encoded) = RefreshKey::generate();
        Self {
            child: Token::generate(),
            key,
            stored_key: app.vault.seal(session_id, &encoded).into(),
        }
    }
}

/// Whether tokens of version 1 become tokens of version 2 here.
pub(super) fn may_upgrade(app: &App) -> bool {
    let security = &app.config.security;
    security.refresh_token_algorithm_version == 2 && security.refresh_token_upgrade_percentage > 0
}

/// A version 1 token: a row of its own. `key` is the session's, which may have one, too.
pub(super) fn stored<'a>(
    app: &App,
    presented: &Presented,
    session: &Session,
    key: Option<&RefreshKey>,
    generated: &'a Generated,
    now: Timestamp,
    headers: &mut Headers,
) -> Decision<'a> {
    let security = &app.config.security;
    let Some(token) = &presented.token else {
        return Decision::Refuse(bad_request(
            Code::RefreshTokenNotFound,
            "Invalid Refresh Token: Refresh Token Not Found",
        ));
    };
    let refreshed = AuditLogEntry::new(
        Actor::User(&presented.user),
        Action::TokenRefreshed,
        None,
        "",
        now,
    );
    if token.revoked {
        if let Some(active) = presented
            .active
            .as_ref()
            .filter(|active| active.parent.as_deref() == Some(&token.token))
        {
            // The client could not store what it got for this token: it gets the same again.
            headers.push(("sb-auth-refresh-token-prefix", prefix(&active.token)));
            let rotation = Rotation {
                audit: app.audited([refreshed]),
                ..Rotation::default()
            };
            return Decision::Rotate {
                rotation,
                answer: active.token.clone(),
            };
        }
        // A clock that was set back must not make a used token fresh again.
        let elapsed = (now - token.updated_at)
            .abs()
            .to_std()
            .unwrap_or(Duration::MAX);
        if elapsed > *security.refresh_token_reuse_interval {
            return Decision::Burn;
        }
    }
    let revoked = AuditLogEntry::new(
        Actor::User(&presented.user),
        Action::TokenRevoked,
        None,
        "",
        now,
    );
    let mut rotation = Rotation {
        child: Some(&generated.child),
        audit: app.audited([refreshed, revoked]),
        ..Rotation::default()
    };
    headers.push(("sb-auth-refresh-token-reuse", "false".into()));
    let upgrade = may_upgrade(app)
        && u8::try_from(security.refresh_token_upgrade_percentage)
            .is_ok_and(|share| upgrades(session.id, share))
        // A key that cannot be read belongs to tokens that are in use.
        && (session.refresh_token_hmac_key.is_none() || key.is_some());
    if !upgrade {
        headers.push(("sb-auth-refresh-token-prefix", prefix(&generated.child)));
        return Decision::Rotate {
            rotation,
            answer: generated.child.clone(),
        };
    }
    let (key, counter) = match key.zip(session.refresh_token_counter) {
        Some((key, counter)) => (key, counter + 1),
        None => {
            rotation.hmac_key = Some(generated.stored_key.as_str().into());
            (&generated.key, 0)
        }
    };
    rotation.child_revoked = true;
    rotation.counter = Some(counter);
    let answer = SignedToken::sign(session.id, counter, key).encode();
    headers.push(("sb-auth-refresh-token-counter", counter.to_string()));
    headers.push(("sb-auth-refresh-token-prefix", prefix(&answer)));
    Decision::Rotate { rotation, answer }
}

/// A version 2 token: a counter under the signature of its session's key.
pub(super) fn signed<'a>(
    app: &App,
    presented: &Presented,
    session: &Session,
    key: Option<RefreshKey>,
    token: &SignedToken,
    now: Timestamp,
    headers: &mut Headers,
) -> Decision<'a> {
    let security = &app.config.security;
    let Some((key, current)) = key.zip(session.refresh_token_counter) else {
        return Decision::Refuse(bad_request(
            Code::RefreshTokenNotFound,
            "Invalid Refresh Token: Refresh Token Not Found",
        ));
    };
    let behind = current - token.counter;
    if behind < 0 {
        return Decision::Refuse(bad_request(
            Code::ValidationFailed,
            "Invalid Refresh Token: Not Issued By This Server",
        ));
    }
    let mut counter = current;
    if behind == 0 {
        counter += 1;
        headers.push(("sb-auth-refresh-token-reuse", "false".into()));
    } else {
        let elapsed = (now - session.last_refreshed_at(None))
            .abs()
            .to_std()
            .unwrap_or(Duration::MAX);
        let causes: Vec<&str> = [
            (
                "concurrent-refresh",
                elapsed < *security.refresh_token_reuse_interval,
            ),
            ("fail-to-save", behind == 1),
            ("always-allow", security.refresh_token_allow_reuse),
        ]
        .into_iter()
        .filter_map(|(cause, applies)| applies.then_some(cause))
        .collect();
        if causes.is_empty() {
            return Decision::Burn;
        }
        headers.push(("sb-auth-refresh-token-reuse-cause", causes.join(",")));
    }
    headers.push(("sb-auth-refresh-token-counter", counter.to_string()));
    let refreshed = AuditLogEntry::new(
        Actor::User(&presented.user),
        Action::TokenRefreshed,
        None,
        "",
        now,
    );
    let stored_key = session.refresh_token_hmac_key.as_deref();
    let rotation = Rotation {
        counter: Some(counter),
        hmac_key: stored_key
            .and_then(|stored| app.vault.renew(session.id, stored))
            .map(Cow::Owned),
        audit: app.audited([refreshed]),
        ..Rotation::default()
    };
    Decision::Rotate {
        rotation,
        answer: SignedToken::sign(session.id, counter, &key).encode(),
    }
}
