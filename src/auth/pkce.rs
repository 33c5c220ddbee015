//! Exchanging the code that a mail's link, or the way back from a provider, brought (PKCE, RFC 7636).

use diesel_async::AsyncConnection;

use super::grant::{Grant, SignIn, issue};
use super::{Client, invalid, signup};
use crate::app::App;
use crate::crypto::pkce::Challenge;
use crate::error::{
    Code, Error, Result, UNEXPECTED_FAILURE, bad_request, failed, not_found, unprocessable,
};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::flow_state::FlowState;
use crate::models::user::User;

/// Trades a code and its verifier for a session; a code works once.
pub async fn exchange(
    app: &App,
    client: &Client,
    auth_code: &str,
    code_verifier: &str,
) -> Result<Grant> {
    if auth_code.is_empty() || code_verifier.is_empty() {
        return Err(invalid(
            "invalid request: both auth code and code verifier should be non-empty",
        ));
    }
    let unknown = || {
        not_found(
            Code::FlowStateNotFound,
            "invalid flow state, no valid flow state found",
        )
    };
    let mut conn = app.db.get().await?;
    let flow = FlowState::find_by_code(&mut conn, auth_code)
        .await?
        .ok_or_else(unknown)?;
    let user_id = flow.user_id.ok_or_else(unknown)?;
    let now = app.clock.now();
    if flow.is_expired(app.config.external.flow_state_expiry_duration, now) {
        return Err(unprocessable(
            Code::FlowStateExpired,
            "invalid flow state, flow state has expired",
        ));
    }
    let method = flow.code_challenge_method.as_deref().unwrap_or_default();
    match Challenge::parse(flow.code_challenge.as_deref().unwrap_or_default(), method) {
        Ok(Some(challenge)) if challenge.is_answered_by(code_verifier) => {}
        Ok(_) => {
            let message = "code challenge does not match previously saved code verifier";
            return Err(bad_request(Code::BadCodeVerifier, message));
        }
        Err(_) => {
            return Err(bad_request(
                Code::BadCodeVerifier,
                "code challenge method not supported",
            ));
        }
    }
    let method = Method::parse(&flow.authentication_method).ok_or_else(|| {
        failed(
            UNEXPECTED_FAILURE,
            anyhow::anyhow!(
                "unsupported authentication method {:?}",
                flow.authentication_method
            ),
        )
    })?;

    conn.transaction::<_, Error, _>(async |tx| {
        if !flow.delete(tx).await? {
            return Err(unknown());
        }
        let user = User::find(tx, user_id).await?.ok_or_else(unknown)?;
        if user.deleted_at.is_some() {
            return Err(unknown());
        }
        if user.is_banned(now) {
            return Err(bad_request(Code::UserBanned, "User is banned"));
        }
        let traits = serde_json::json!({ "provider_type": flow.provider_type });
        let audit = app.audited([AuditLogEntry::new(
            Actor::User(&user),
            Action::Login,
            Some(traits),
            "",
            now,
        )]);
        let sign_in = SignIn {
            method,
            audit,
            password: None,
        };
        let mut grant = issue(app, tx, client, user, sign_in, now)
            .await?
            .ok_or_else(signup::gone)?;
        let present = |token: Option<String>| token.filter(|token| !token.is_empty());
        grant.provider_tokens = present(flow.provider_access_token)
            .map(|token| (token, present(flow.provider_refresh_token)));
        Ok(grant)
    })
    .await
}
