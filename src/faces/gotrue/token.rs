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
use crate::error::{Code, Result, bad_request, unprocessable};
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
    /// A code that a mail's link, or the way back from a provider, brought.
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

/// What is traded (GoTrue's `grant_type`).
#[derive(Clone, Copy)]
enum GrantType {
    Password,
    RefreshToken,
    Pkce,
    IdToken,
    Web3,
}

impl GrantType {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "password" => Self::Password,
            "refresh_token" => Self::RefreshToken,
            "pkce" => Self::Pkce,
            "id_token" => Self::IdToken,
            "web3" => Self::Web3,
            _ => return None,
        })
    }

    /// Whether it may be a machine that guesses.
    const fn wants_captcha(self) -> bool {
        matches!(self, Self::Password | Self::Web3)
    }

    const fn bucket(self) -> Bucket {
        match self {
            Self::Web3 => Bucket::Web3,
            Self::Password | Self::RefreshToken | Self::Pkce | Self::IdToken => Bucket::Token,
        }
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
    let grant_type = GrantType::parse(grant_type);
    if grant_type.is_none_or(GrantType::wants_captcha) {
        visitor.check_captcha(&app, &body).await?;
    }
    let unsupported = || bad_request(Code::InvalidCredentials, "unsupported_grant_type");
    let grant_type = grant_type.ok_or_else(unsupported)?;
    visitor.limit(&app, grant_type.bucket())?;
    let client = &visitor.client;
    let grant = match grant_type {
        GrantType::Password => {
            let said: PasswordGrantParams = body.form_or_json()?;
            let password = said.password.expose_secret();
            auth::password::sign_in(&app, client, &said.email, &said.phone, password).await?
        }
        GrantType::RefreshToken => {
            let said: RefreshTokenGrantParams = body.form_or_json()?;
            auth::refresh::refresh(&app, client, &said.refresh_token).await?
        }
        GrantType::Pkce => {
            let said: PKCEGrantParams = body.form_or_json()?;
            auth::pkce::exchange(&app, client, &said.auth_code, &said.code_verifier).await?
        }
        GrantType::Web3 => {
            return Err(unprocessable(
                Code::Web3ProviderDisabled,
                "Web3 provider is disabled",
            ));
        }
        GrantType::IdToken => {
            let said: IdTokenGrantParams = body.form_or_json()?;
            let presented = said.presented();
            presented.check()?;
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
    fn presented(&self) -> Presented<'_> {
        Presented {
            id_token: self.id_token.expose_secret(),
            access_token: self.access_token.expose_secret(),
            nonce: self.nonce.expose_secret(),
            provider: &self.provider,
            client_id: &self.client_id,
            issuer: &self.issuer,
        }
    }
}

/// The user whose account the identity is to be added to.
async fn linking(app: &App, headers: &HeaderMap) -> Result<Caller> {
    if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
        let why = "Linking requires a valid user access token in Authorization";
        return Err(auth::id_token::refused(why));
    }
    caller::authenticate(app, headers).await
}
