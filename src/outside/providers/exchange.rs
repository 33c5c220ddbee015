//! Trading the code that the browser brought back for tokens (RFC 6749, section 4.1.3).

use std::fmt;

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret, ExtraTokenFields,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use reqwest::header::ACCEPT;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClientAuth, Provider};
use crate::outside::{self, Http};
use crate::urls::query::Pairs;

/// What a provider gave for a code.
pub struct Tokens {
    /// Opens the provider's API; the application gets it, too.
    pub access_token: String,
    /// Where the provider gives one.
    pub refresh_token: Option<String>,
    /// How the access token is presented: mostly `Bearer`.
    pub(super) token_type: String,
    /// Signs requests in OAuth 1.0a; the access token alone opens nothing there.
    pub(super) token_secret: Option<String>,
    /// Everything else that the token endpoint said: `id_token`, a profile, ..
    pub(super) more: Map<String, Value>,
}

impl Tokens {
    /// The ID token, where there is one.
    #[must_use]
    pub fn id_token(&self) -> Option<&str> {
        self.more.get("id_token").and_then(Value::as_str)
    }
}

/// Tokens are never printed.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens([REDACTED])")
    }
}

/// What a token endpoint says besides the members of RFC 6749.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
struct More(Map<String, Value>);

impl ExtraTokenFields for More {}

type TokenResponse = StandardTokenResponse<More, BasicTokenType>;

pub(super) async fn exchange(
    provider: &Provider,
    code: &str,
    verifier: Option<&str>,
) -> anyhow::Result<Tokens> {
    match provider.client_auth {
        ClientAuth::Body => ask(provider, code, verifier, AuthType::RequestBody).await,
        ClientAuth::Basic => match ask(provider, code, verifier, AuthType::BasicAuth).await {
            // Some read no header; a refused request has not spent the code.
            Err(error) if error.is::<Refused>() => {
                ask(provider, code, verifier, AuthType::RequestBody).await
            }
            answered => answered,
        },
    }
}

async fn ask(
    provider: &Provider,
    code: &str,
    verifier: Option<&str>,
    client_auth: AuthType,
) -> anyhow::Result<Tokens> {
    let client = Client::<
        BasicErrorResponse,
        TokenResponse,
        BasicTokenIntrospectionResponse,
        StandardRevocableToken,
        BasicRevocationErrorResponse,
    >::new(ClientId::new(provider.client_id.clone()))
    .set_client_secret(ClientSecret::new(
        provider.client_secret.expose_secret().to_owned(),
    ))
    .set_auth_type(client_auth)
    .set_token_uri(TokenUrl::new(provider.token_url.clone())?)
    .set_redirect_uri(RedirectUrl::new(provider.redirect_uri.clone())?);
    let mut request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
    if let Some(verifier) = verifier {
        request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
    }
    let answer = match request.request_async(&provider.http).await {
        Ok(answer) => answer,
        Err(oauth2::RequestTokenError::ServerResponse(error)) => {
            return Err(Refused(error.to_string()).into());
        }
        Err(oauth2::RequestTokenError::Parse(error, _)) => {
            return Err(error).context("the token endpoint's answer");
        }
        Err(error) => return Err(anyhow::Error::new(error).context("the token endpoint")),
    };
    let access_token = answer.access_token().secret().clone();
    if access_token.is_empty() {
        bail!("the token endpoint gave no access token");
    }
    let refresh_token = answer.refresh_token().map(|token| token.secret().clone());
    Ok(Tokens {
        access_token,
        refresh_token: refresh_token.filter(|token| !token.is_empty()),
        token_type: match answer.token_type() {
            BasicTokenType::Bearer => "Bearer".to_owned(),
            other => other.as_ref().to_owned(),
        },
        token_secret: None,
        more: answer.extra_fields().0.clone(),
    })
}

/// The token endpoint refused.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token endpoint refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// Why no answer came, as an error that `oauth2` can carry.
#[derive(Debug)]
pub struct NoAnswer(anyhow::Error);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for NoAnswer {}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        send(self, request).map_err(NoAnswer).boxed()
    }
}

async fn send(http: &Http, mut request: HttpRequest) -> anyhow::Result<HttpResponse> {
    // GoTrue's client asks for no form of the answer, and the answer to that is what is read below.
    request.headers_mut().remove(ACCEPT);
    let response = http.send(request.try_into()?).await?;
    let status = response.status();
    let body = outside::read(response).await?;
    let body = if status.is_success() {
        standard(&body)?
    } else {
        error(&body)
    };
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    Ok(response)
}

/// A successful answer in the form of RFC 6749, section 5.1: some providers answer with a form, leave the token's
/// type out, or write numbers as texts. As Go's client reads them.
fn standard(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut members: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(members) => members,
        Err(error) => {
            let form = Pairs::parse(std::str::from_utf8(body)?).unwrap_or_default();
            if form.get("access_token").is_empty() {
                return Err(error).context("neither JSON nor a form");
            }
            form.iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect()
        }
    };
    let is_text =
        |members: &Map<String, Value>, name| members.get(name).is_some_and(Value::is_string);
    if !is_text(&members, "token_type") {
        members.insert("token_type".to_owned(), "bearer".into());
    }
    for name in ["scope", "refresh_token"] {
        if !is_text(&members, name) {
            members.remove(name);
        }
    }
    // Nobody here asks when the token ends.
    members.remove("expires_in");
    Ok(serde_json::to_vec(&members)?)
}

/// A refusal in the form of RFC 6749, section 5.2, whatever it was.
fn error(body: &[u8]) -> Vec<u8> {
    let said: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| said.get(name).and_then(Value::as_str);
    let error = text("error").unwrap_or("unspecified");
    serde_json::json!({ "error": error, "error_description": text("error_description") })
        .to_string()
        .into_bytes()
}
