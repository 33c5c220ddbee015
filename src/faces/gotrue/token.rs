//! `POST /token`: what is traded for a session.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::caller::{self, Caller, Visitor};
use super::views::signed_in;
use crate::app::App;
use crate::auth;
use crate::auth::id_token::Presented;
use crate::error::{Code, Error, Result, bad_request, unprocessable};
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;

use crate::web::limits::Bucket;

params! {
    /// A password.
    struct PasswordGrantParams {
        email: String,
        phone: String,
        password: SecretString,
    }
}

params! {
    /// A refresh token.
    struct RefreshTokenGrantParams {
        refresh_token: String,
    }
}

params! {
    /// A code that a link led back with.
    struct PKCEGrantParams {
        auth_code: String,
        code_verifier: String,
    }
}

params! {
    /// An external provider's ID token.
    struct IdTokenGrantParams {
        id_token: SecretString,
        access_token: SecretString,
        nonce: SecretString,
        provider: String,
        client_id: String,
        issuer: String,
        link_identity: bool,
    }
}

/// Grants by `grant_type`, which may stand in the query or in a form.
pub async fn grant(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    visitor: Visitor,
    body: Body,
) -> Result<Response> {
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let form = body.form()?;
    let in_form = form
        .as_ref()
        .map(|form| form.get("grant_type"))
        .filter(|name| !name.is_empty());
    let grant_type = in_form.unwrap_or_else(|| query.get("grant_type"));
    if !matches!(grant_type, "refresh_token" | "pkce" | "id_token") {
        visitor.check_captcha(&app, &body).await?;
    }
    match grant_type {
        "password" | "refresh_token" | "pkce" | "id_token" => visitor.limit(&app, Bucket::Token)?,
        "web3" => visitor.limit(&app, Bucket::Web3)?,
        _ => {
            return Err(bad_request(
                Code::InvalidCredentials,
                "unsupported_grant_type",
            ));
        }
    }
    let client = &visitor.client;
    let grant = match grant_type {
        "password" => {
            let said: PasswordGrantParams = body.form_or_json()?;
            let password = said.password.expose_secret();
            auth::password::sign_in(&app, client, &said.email, &said.phone, password).await?
        }
        "refresh_token" => {
            let said: RefreshTokenGrantParams = body.form_or_json()?;
            auth::refresh::refresh(&app, client, &said.refresh_token).await?
        }
        "pkce" => {
            let said: PKCEGrantParams = body.form_or_json()?;
            auth::pkce::exchange(&app, client, &said.auth_code, &said.code_verifier).await?
        }
        "web3" => {
            return Err(unprocessable(
                Code::Web3ProviderDisabled,
                "Web3 provider is disabled",
            ));
        }
        _ => {
            let said: IdTokenGrantParams = body.form_or_json()?;
            let presented = said.presented()?;
            let caller = if said.link_identity {
                Some(linking(&app, &headers).await?)
            } else {
                None
            };
            let bearer = caller.as_ref().map(|Caller(bearer)| &**bearer);
            auth::id_token::sign_in(&app, client, &presented, bearer).await?
        }
    };
    signed_in(&app, &grant).await
}

impl IdTokenGrantParams {
    fn presented(&self) -> Result<Presented<'_>> {
        if self.id_token.expose_secret().is_empty() {
            return Err(incomplete("id_token required"));
        }
        if self.provider.is_empty() && (self.client_id.is_empty() || self.issuer.is_empty()) {
            return Err(incomplete("provider or client_id and issuer required"));
        }
        Ok(Presented {
            id_token: self.id_token.expose_secret(),
            access_token: self.access_token.expose_secret(),
            nonce: self.nonce.expose_secret(),
            provider: &self.provider,
            client_id: &self.client_id,
            issuer: &self.issuer,
        })
    }
}

/// The user whose account the identity is to be added to.
async fn linking(app: &App, headers: &HeaderMap) -> Result<Caller> {
    if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
        return Err(incomplete(
            "Linking requires a valid user access token in Authorization",
        ));
    }
    caller::authenticate(app, headers).await
}

fn incomplete(description: &'static str) -> Error {
    Error::Oauth {
        error: "invalid request".into(),
        description: description.into(),
    }
}
