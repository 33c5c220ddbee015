//! `POST /token`: what is traded for a session.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};

use super::caller::Visitor;
use super::views::signed_in;
use crate::app::App;
use crate::auth;
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
        provider: String,
        issuer: String,
    }
}

/// Grants by `grant_type`, which may stand in the query or in a form.
pub async fn grant(
    State(app): State<App>,
    RawQuery(query): RawQuery,
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
        _ => return Err(no_provider(&body.form_or_json()?)),
    };
    signed_in(&app, &grant).await
}

/// Sign-in with an ID token is not served by this version: no issuer is enabled.
fn no_provider(said: &IdTokenGrantParams) -> Error {
    if said.id_token.expose_secret().is_empty() {
        return Error::Oauth {
            error: "invalid request".into(),
            description: "id_token required".into(),
        };
    }
    let issuer = if said.issuer.is_empty() {
        &said.provider
    } else {
        &said.issuer
    };
    bad_request(
        Code::ProviderDisabled,
        format!("Provider (issuer {issuer:?}) is not enabled"),
    )
}
