//! Trading the code that the browser brought back for tokens (RFC 6749, section 4.1.3).

use std::fmt;

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
use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
        ClientAuth::Body | ClientAuth::BodyTwice => {
            ask(provider, code, verifier, AuthType::RequestBody).await
        }
        ClientAuth::Basic => match ask(provider, code, verifier, AuthType::BasicAuth).await {
            // Some read no header, and say so in many ways; a refused request has not spent the code.
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
    if provider.client_auth == ClientAuth::BodyTwice {
        request = request.add_extra_param("secret", provider.client_secret.expose_secret());
    }
    let answer = match request.request_async(&provider.http).await {
        Ok(answer) => answer,
        Err(oauth2::RequestTokenError::ServerResponse(error)) => {
            return Err(Refused(error.to_string()).into());
        }
        Err(error) => return Err(anyhow::Error::new(error).context("the token endpoint")),
    };
    let refresh_token = answer.refresh_token().map(|token| token.secret().clone());
    Ok(Tokens {
        access_token: answer.access_token().secret().clone(),
        refresh_token: refresh_token.filter(|token| !token.is_empty()),
        token_type: match answer.token_type() {
            BasicTokenType::Bearer => "Bearer".to_owned(),
            other => other.as_ref().to_owned(),
        },
        token_secret: None,
        more: answer.extra_fields().0.clone(),
    })
}

/// The token endpoint gave no token.
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
    let (status, body) = standard(status, &outside::read(response).await?);
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    Ok(response)
}

/// An answer in the form of RFC 6749, sections 5.1 and 5.2. Some providers answer with a form, leave the token's type out,
/// write numbers as texts, or refuse with 200; read as Go's client reads them.
fn standard(status: StatusCode, body: &[u8]) -> (StatusCode, Vec<u8>) {
    let mut told: Map<String, Value> = serde_json::from_slice(body).unwrap_or_else(|_| {
        let form = Pairs::parse_lenient(&String::from_utf8_lossy(body));
        form.iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect()
    });
    let text = |name| {
        let text = told.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    if !status.is_success() || text("error").is_some() || text("access_token").is_none() {
        let unsaid = format!("{status} without a token");
        let error = text("error").unwrap_or(&unsaid);
        let refusal = json!({ "error": error, "error_description": text("error_description") });
        return (StatusCode::BAD_REQUEST, refusal.to_string().into_bytes());
    }
    if text("token_type").is_none() {
        told.insert("token_type".to_owned(), "bearer".into());
    }
    // Nobody here asks when the token ends.
    told.remove("expires_in");
    for name in ["scope", "refresh_token"] {
        if !told.get(name).is_some_and(Value::is_string) {
            told.remove(name);
        }
    }
    // Some say 201, which the RFC does not know.
    (StatusCode::OK, Value::Object(told).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (u16, Value) {
        let (status, body) = standard(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_token_in_any_form_is_read_as_in_the_rfc() {
        let cases = [
            (
                "access_token=a&token_type=bearer&scope=user%3Aemail",
                json!({ "access_token": "a", "token_type": "bearer", "scope": "user:email" }),
            ),
            (
                "access_token=a&expires_in=soon",
                json!({ "access_token": "a", "token_type": "bearer" }),
            ),
            (
                r#"{"access_token":"a","expires_in":"3600","token_type":"mac"}"#,
                json!({ "access_token": "a", "token_type": "mac" }),
            ),
            (
                r#"{"access_token":"a","token_type":null,"refresh_token":null,"scope":["a","b"],"expires_in":null}"#,
                json!({ "access_token": "a", "token_type": "bearer" }),
            ),
            (
                r#"{"access_token":"a","refresh_token":"r","error":"","profile":{"id":null}}"#,
                json!({ "access_token": "a", "refresh_token": "r", "token_type": "bearer", "error": "", "profile": { "id": null } }),
            ),
        ];
        for (body, told) in cases {
            for status in [200, 201] {
                assert_eq!(read(status, body), (200, told.clone()), "{body}");
            }
        }
    }

    #[test]
    fn all_else_is_a_refusal() {
        let unsaid = "200 OK without a token";
        let cases = [
            (
                200,
                r#"{"error":"bad_code","error_description":"too late"}"#,
                "bad_code",
                Some("too late"),
            ),
            (200, r#"{"error":"no","access_token":"a"}"#, "no", None),
            (
                200,
                "error=bad_code&error_description=too+late",
                "bad_code",
                Some("too late"),
            ),
            (
                401,
                r#"{"error":"invalid_client","access_token":"a"}"#,
                "invalid_client",
                None,
            ),
            (
                500,
                "oops",
                "500 Internal Server Error without a token",
                None,
            ),
            (302, "", "302 Found without a token", None),
            (200, "<!doctype html><title>Sorry</title>", unsaid, None),
            (200, r#"{"access_token":""}"#, unsaid, None),
            (200, r#"{"access_token":5}"#, unsaid, None),
            (200, r#"["access_token"]"#, unsaid, None),
            (200, r#"{"error":{"code":1}}"#, unsaid, None),
            (200, "", unsaid, None),
        ];
        for (status, body, error, description) in cases {
            let refusal = json!({ "error": error, "error_description": description });
            assert_eq!(read(status, body), (400, refusal), "{body}");
        }
        assert_eq!(
            standard(StatusCode::OK, b"\xff\xfe{").0,
            StatusCode::BAD_REQUEST
        );
    }
}
