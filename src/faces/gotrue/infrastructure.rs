//! What other programs ask: is it alive, which keys sign, where is what.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::error::{Code, Error, not_found};
use crate::web::json::Json;

const CACHED: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=600"),
);
const JSON: (HeaderName, HeaderValue) = (
    header::CONTENT_TYPE,
    HeaderValue::from_static("application/json"),
);

/// The version of GoTrue whose API this is; clients look at it to know what the server can do.
const GOTRUE_VERSION: &str = "v2.196.0";

#[derive(Serialize)]
struct Health {
    version: &'static str,
    name: &'static str,
    description: &'static str,
}

/// `GET /health`: alive; asks nobody else.
pub async fn health() -> Response {
    Json(Health {
        version: GOTRUE_VERSION,
        name: "GoTrue",
        description: "GoTrue is a user registration and authentication API",
    })
    .into_response()
}

/// `GET /.well-known/jwks.json`: the public halves of the keys.
pub async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    let jwks = app.keys.jwks();
    let etag = HeaderValue::from_str(&jwks.etag).unwrap_or(HeaderValue::from_static("\"\""));
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return (StatusCode::NOT_MODIFIED, [CACHED, (header::ETAG, etag)]).into_response();
    }
    ([JSON, CACHED, (header::ETAG, etag)], jwks.body.clone()).into_response()
}

/// `GET /.well-known/openid-configuration`: always served, as by GoTrue.
pub async fn discovery(State(app): State<App>) -> Response {
    let issuer = app.config.jwt.issuer.as_deref().unwrap_or_default();
    let base = issuer.trim_end_matches('/');
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "userinfo_endpoint": format!("{base}/oauth/userinfo"),
        "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "claims_supported": [
            "sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified", "phone_number",
            "phone_number_verified", "name", "picture", "preferred_username", "updated_at",
        ],
        "code_challenge_methods_supported": ["S256", "plain"],
    });
    ([CACHED], Json(document)).into_response()
}

/// `GET /.well-known/oauth-authorization-server`: there is no OAuth server to describe.
pub async fn oauth_metadata() -> Error {
    not_found(Code::FeatureDisabled, "OAuth server is disabled")
}
