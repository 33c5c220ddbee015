//! What other programs ask: is it alive, which keys sign, where is what.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::json;

use crate::app::App;
use crate::error::{Code, Error, not_found};
use crate::web::document::Document;
use crate::web::json::to_vec;

/// The version of GoTrue whose API this is; clients look at it to know what the server can do.
const HEALTH: &str = r#"{"version":"v2.196.0","name":"GoTrue","description":"GoTrue is a user registration and authentication API"}"#;

/// `GET /health`: alive; asks nobody else.
pub async fn health() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], HEALTH).into_response()
}

/// `GET /.well-known/jwks.json`: the public halves of the keys.
pub fn jwks(app: &App) -> Document {
    Document::new(app.keys.jwks().clone())
}

/// `GET /.well-known/openid-configuration`: always served, as by GoTrue.
pub fn discovery(app: &App) -> Document {
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
    // JSON of texts can always be written.
    Document::new(to_vec(&document).unwrap_or_default())
}

/// `GET /.well-known/oauth-authorization-server`: there is no OAuth server to describe.
pub async fn oauth_metadata() -> Error {
    not_found(Code::FeatureDisabled, "OAuth server is disabled")
}
