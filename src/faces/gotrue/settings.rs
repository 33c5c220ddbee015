//! `GET /settings`: what clients need to know to draw a sign-in page.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::web::json::Json;

/// The providers that the answer lists; some exist without being listed.
const LISTED: [&str; 23] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "zoom",
];

/// Answers from the configuration alone.
pub async fn settings(State(app): State<App>) -> Response {
    let config = &app.config;
    let mut external: Map<String, Value> = LISTED
        .iter()
        .map(|&name| {
            (
                name.to_owned(),
                config.external.provider_enabled(name).into(),
            )
        })
        .collect();
    external.insert(
        "anonymous_users".into(),
        config.external.anonymous_users_enabled.into(),
    );
    external.insert("email".into(), config.external.email_enabled.into());
    external.insert("phone".into(), config.external.phone_enabled.into());
    Json(json!({
        "external": external,
        "disable_signup": config.disable_signup,
        "mailer_autoconfirm": config.mailer.autoconfirm,
        "phone_autoconfirm": config.sms.autoconfirm,
        "sms_provider": config.sms.provider,
        "saml_enabled": config.saml.enabled,
        // GoTrue says true where SAML is off.
        "saml_private_key_next_configured": !config.saml.enabled,
        "passkeys_enabled": config.passkey.enabled,
    }))
    .into_response()
}
