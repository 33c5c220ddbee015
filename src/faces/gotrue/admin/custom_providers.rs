//! `/admin/custom-providers`.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::request::Parts;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::app::App;
use crate::auth::admin::custom_providers::{self, Params};
use crate::error::{Code, Result, not_found};
use crate::models::custom_provider::CustomProvider;
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::json::{Json, Time};

params! {
    /// What an administrator says of a provider.
    struct AdminCustomOAuthProviderParams {
        provider_type: String,
        identifier: String,
        name: String,
        client_id: String,
        client_secret: SecretString,
        acceptable_client_ids: Option<Vec<String>>,
        scopes: Option<Vec<String>>,
        pkce_enabled: Option<bool>,
        attribute_mapping: Option<Map<String, Value>>,
        custom_claims_allowlist: Option<Vec<String>>,
        authorization_params: Option<Map<String, Value>>,
        enabled: Option<bool>,
        email_optional: Option<bool>,
        issuer: String,
        discovery_url: Option<String>,
        skip_nonce_check: Option<bool>,
        authorization_url: String,
        token_url: String,
        userinfo_url: String,
        jwks_uri: Option<String>,
    }
}

/// A provider as administrators see it: without its secret.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "GoTrue's members")]
struct ProviderView<'a> {
    id: Uuid,
    provider_type: &'a str,
    identifier: &'a str,
    name: &'a str,
    client_id: &'a str,
    acceptable_client_ids: &'a [String],
    scopes: &'a [String],
    pkce_enabled: bool,
    attribute_mapping: &'a Value,
    custom_claims_allowlist: &'a [String],
    authorization_params: &'a Value,
    enabled: bool,
    email_optional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_url: Option<&'a str>,
    skip_nonce_check: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_document: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
    created_at: Time,
    updated_at: Time,
}

impl<'a> From<&'a CustomProvider> for ProviderView<'a> {
    fn from(provider: &'a CustomProvider) -> Self {
        Self {
            id: provider.id,
            provider_type: &provider.provider_type,
            identifier: &provider.identifier,
            name: &provider.name,
            client_id: &provider.client_id,
            acceptable_client_ids: &provider.acceptable_client_ids,
            scopes: &provider.scopes,
            pkce_enabled: provider.pkce_enabled,
            attribute_mapping: &provider.attribute_mapping,
            custom_claims_allowlist: &provider.custom_claims_allowlist,
            authorization_params: &provider.authorization_params,
            enabled: provider.enabled,
            email_optional: provider.email_optional,
            issuer: provider.issuer.as_deref(),
            discovery_url: provider.discovery_url.as_deref(),
            skip_nonce_check: provider.skip_nonce_check,
            discovery_document: provider.cached_discovery.as_ref(),
            authorization_url: provider.authorization_url.as_deref(),
            token_url: provider.token_url.as_deref(),
            userinfo_url: provider.userinfo_url.as_deref(),
            jwks_uri: provider.jwks_uri.as_deref(),
            created_at: Time(provider.created_at),
            updated_at: Time(provider.updated_at),
        }
    }
}

#[derive(Serialize)]
struct ProvidersView<'a> {
    providers: Vec<ProviderView<'a>>,
}

fn view(provider: &CustomProvider) -> Json<ProviderView<'_>> {
    Json(ProviderView::from(provider))
}

/// The provider that the path names. What is no UTF-8 names none.
pub struct Identifier(String);

impl<S: Send + Sync> FromRequestParts<S> for Identifier {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let identifier = Path::from_request_parts(parts, state).await;
        Ok(Self(identifier.map(|Path(name)| name).unwrap_or_default()))
    }
}

/// Lets nothing below this path pass where custom providers are switched off.
pub async fn require_enabled(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.config.custom_oauth.enabled {
        return next.run(request).await;
    }
    not_found(Code::FeatureDisabled, "Custom OAuth providers are disabled").into_response()
}

fn read(body: &Body) -> Result<Params> {
    let said: AdminCustomOAuthProviderParams = body.json()?;
    Ok(Params {
        provider_type: said.provider_type,
        identifier: said.identifier,
        name: said.name,
        client_id: said.client_id,
        client_secret: said.client_secret,
        acceptable_client_ids: said.acceptable_client_ids,
        scopes: said.scopes,
        pkce_enabled: said.pkce_enabled,
        attribute_mapping: said.attribute_mapping,
        custom_claims_allowlist: said.custom_claims_allowlist,
        authorization_params: said.authorization_params,
        enabled: said.enabled,
        email_optional: said.email_optional,
        issuer: said.issuer,
        discovery_url: said.discovery_url,
        skip_nonce_check: said.skip_nonce_check,
        authorization_url: said.authorization_url,
        token_url: said.token_url,
        userinfo_url: said.userinfo_url,
        jwks_uri: said.jwks_uri,
    })
}

/// `GET /admin/custom-providers`.
pub async fn list(State(app): State<App>, OriginalUri(uri): OriginalUri) -> Result<Response> {
    let query = Pairs::parse_lenient(uri.query().unwrap_or_default());
    let found = custom_providers::list(&app, query.get("type")).await?;
    let providers = found.iter().map(ProviderView::from).collect();
    Ok(Json(ProvidersView { providers }).into_response())
}

/// `POST /admin/custom-providers`.
pub async fn create(State(app): State<App>, body: Body) -> Result<Response> {
    let provider = custom_providers::create(&app, read(&body)?).await?;
    Ok((StatusCode::CREATED, view(&provider)).into_response())
}

/// `GET /admin/custom-providers/{identifier}`.
pub async fn show(State(app): State<App>, Identifier(identifier): Identifier) -> Result<Response> {
    let provider = custom_providers::find(&app, &identifier).await?;
    Ok(view(&provider).into_response())
}

/// `PUT /admin/custom-providers/{identifier}`.
pub async fn update(
    State(app): State<App>,
    Identifier(identifier): Identifier,
    body: Body,
) -> Result<Response> {
    custom_providers::check_prefix(&identifier)?;
    let provider = custom_providers::update(&app, &identifier, read(&body)?).await?;
    Ok(view(&provider).into_response())
}

/// `DELETE /admin/custom-providers/{identifier}`.
pub async fn delete(
    State(app): State<App>,
    Identifier(identifier): Identifier,
) -> Result<StatusCode> {
    custom_providers::delete(&app, &identifier).await?;
    Ok(StatusCode::NO_CONTENT)
}
