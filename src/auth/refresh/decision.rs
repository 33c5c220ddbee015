//! What becomes of a refresh token that was presented, decided from what was read alone.

use std::time::Duration;

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
    encoded_key: Zeroizing<String>,
}

impl Generated {
    pub(super) fn new() -> Self {
        let (key, encoded_key) = RefreshKey::generate();
        Self {
            child: Token::generate(),
            key,
            encoded_key,
        }
    }
}

/// A version 1 token: a row of its own.
pub(super) fn stored<'a>(
    app: &App,
    presented: &Presented,
    session: &Session,
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
    let upgrade = security.refresh_token_algorithm_version == 2
        && u8::try_from(security.refresh_token_upgrade_percentage)
            .is_ok_and(|share| upgrades(session.id, share))
        // A key that cannot be read belongs to tokens that are in use.
        && session
            .refresh_token_hmac_key
            .as_deref()
            .is_none_or(|key| RefreshKey::decode(key).is_some());
    if !upgrade {
        headers.push(("sb-auth-refresh-token-prefix", prefix(&generated.child)));
        return Decision::Rotate {
            rotation,
            answer: generated.child.clone(),
        };
    }
    let own_key = session
        .refresh_token_hmac_key
        .as_deref()
        .and_then(RefreshKey::decode)
        .zip(session.refresh_token_counter);
    let (key, counter) = match &own_key {
        Some((key, counter)) => (key, counter + 1),
        None => {
            rotation.hmac_key = Some(&generated.encoded_key);
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
    token: &SignedToken,
    now: Timestamp,
    headers: &mut Headers,
) -> Decision<'a> {
    let security = &app.config.security;
    let key = session
        .refresh_token_hmac_key
        .as_deref()
        .and_then(RefreshKey::decode);
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
    let rotation = Rotation {
        counter: Some(counter),
        audit: app.audited([refreshed]),
        ..Rotation::default()
    };
    Decision::Rotate {
        rotation,
        answer: SignedToken::sign(session.id, counter, &key).encode(),
    }
}
