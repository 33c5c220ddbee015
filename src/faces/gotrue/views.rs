//! How sessions and passkeys look in JSON (GoTrue's struct tags; members in its order). Users do as hooks read them.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Map;
use uuid::Uuid;

use crate::app::App;
use crate::auth::grant::Grant;
use crate::crypto::password::Weak;
use crate::error::Result;
use crate::models::passkey::Passkey;
pub use crate::models::user::view::{FactorView, UserView};
use crate::web::json::{Json, Time};

/// A passkey.
#[derive(Serialize)]
pub struct PasskeyView<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "str::is_empty")]
    friendly_name: &'a str,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Time>,
}

impl<'a> From<&'a Passkey> for PasskeyView<'a> {
    fn from(passkey: &'a Passkey) -> Self {
        Self {
            id: passkey.id,
            friendly_name: &passkey.friendly_name,
            created_at: Time(passkey.created_at),
            last_used_at: passkey.last_used_at.map(Time),
        }
    }
}

/// What signs in (GoTrue's `AccessTokenResponse`).
#[derive(Serialize)]
struct GrantView<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    expires_at: i64,
    refresh_token: &'a str,
    user: UserView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak_password: Option<Option<WeakView<'a>>>,
}

#[derive(Serialize)]
struct WeakView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [&'static str],
}

impl<'a> From<&'a Weak> for WeakView<'a> {
    fn from(weak: &'a Weak) -> Self {
        Self {
            message: &weak.message,
            reasons: &weak.reasons,
        }
    }
}

/// The answer that signs in, with the headers that speak of the session.
pub async fn signed_in(app: &App, grant: &Grant) -> Result<Response> {
    let (provider_token, provider_refresh_token) = match &grant.provider_tokens {
        Some((token, refresh_token)) => (Some(token.as_str()), refresh_token.as_deref()),
        None => (None, None),
    };
    let view = GrantView {
        access_token: grant.access_token(app).await?,
        token_type: "bearer",
        expires_in: grant.expires_in(),
        expires_at: grant.expires_at.timestamp(),
        refresh_token: &grant.refresh_token,
        user: UserView::from(&grant.user),
        provider_token,
        provider_refresh_token,
        weak_password: grant
            .weak_password
            .as_ref()
            .map(|weak| weak.as_ref().map(WeakView::from)),
    };
    let mut response = Json(&view).into_response();
    add_headers(&mut response, &grant.headers);
    Ok(response)
}

/// What the fragment of a redirect says of an implicit sign-in; printed in alphabetical order.
pub async fn session_pairs(app: &App, grant: &Grant) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("access_token", grant.access_token(app).await?),
        ("expires_at", grant.expires_at.timestamp().to_string()),
        ("expires_in", grant.expires_in().to_string()),
        ("refresh_token", grant.refresh_token.clone()),
        // Tells clients that it was us who sent the browser on.
        ("sb", String::new()),
        ("token_type", "bearer".to_owned()),
    ])
}

/// Adds the headers that speak of a session.
pub fn add_headers(response: &mut Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}

/// Done: a code is on its way, in a message with this id.
#[must_use]
pub fn sent(message_id: Option<&str>) -> Response {
    let id = message_id.map(|id| ("message_id".to_owned(), id.into()));
    Json(Map::from_iter(id)).into_response()
}

/// `{}`: done, and there is nothing to tell.
#[must_use]
pub fn done() -> Response {
    Json(Map::new()).into_response()
}
