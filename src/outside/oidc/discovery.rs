//! What an issuer says of itself (OpenID Connect Discovery 1.0).

use anyhow::{Context as _, bail, ensure};
use jsonwebtoken::Algorithm;
use reqwest::header::LOCATION;
use reqwest::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::issuers;
use crate::outside::{self, Http};

/// The provider metadata that we use.
#[derive(Debug, Deserialize)]
pub struct Discovery {
    issuer: String,
    jwks_uri: String,
    /// Empty where it is not named, as the others.
    #[serde(default)]
    authorization_endpoint: String,
    #[serde(default)]
    token_endpoint: String,
    #[serde(default)]
    userinfo_endpoint: String,
    #[serde(rename = "id_token_signing_alg_values_supported")]
    algorithms: Option<Vec<String>>,
}

impl Discovery {
    /// The document that every issuer has.
    #[must_use]
    pub fn url(issuer: &str) -> String {
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        format!("{issuer}/.well-known/openid-configuration")
    }

    /// Reads the document of this issuer; that of another one is an error.
    pub(super) async fn fetch(http: &Http, url: &str, issuer: &str) -> anyhow::Result<Self> {
        let document: Self = document(http, url)
            .await
            .with_context(|| format!("the discovery document of {issuer}"))?;
        document.check(issuer)?;
        Ok(document)
    }

    fn check(&self, issuer: &str) -> anyhow::Result<()> {
        ensure!(
            self.issuer == issuer || issuers::is_apple(issuer) && issuers::is_apple(&self.issuer),
            "{issuer} says that it is {}",
            self.issuer
        );
        let endpoints = [
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.userinfo_endpoint,
        ];
        let named = endpoints.into_iter().filter(|url| !url.is_empty());
        // Whoever sits on the way could give us keys of his own.
        for url in named.chain([&self.jwks_uri]) {
            let is_fine = url.starts_with("https://")
                || url.starts_with("http://") && issuer.starts_with("http://");
            ensure!(
                is_fine,
                "{issuer} names an endpoint that is not secure: {url:?}"
            );
        }
        Ok(())
    }

    /// Where its keys are.
    pub(super) fn jwks_uri(&self) -> &str {
        &self.jwks_uri
    }

    /// What its ID tokens may be signed with (go-oidc's rule): never a shared secret, never nothing. Who names nothing
    /// that we know signs with RS256.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let named = self.algorithms.iter().flatten();
        let known: Vec<_> = named.filter_map(|name| asymmetric(name)).collect();
        if known.is_empty() {
            vec![Algorithm::RS256]
        } else {
            known
        }
    }

    /// Where browsers go.
    pub fn authorization_endpoint(&self) -> anyhow::Result<&str> {
        self.endpoint("authorization_endpoint", &self.authorization_endpoint)
    }

    /// Where codes are traded for tokens.
    pub fn token_endpoint(&self) -> anyhow::Result<&str> {
        self.endpoint("token_endpoint", &self.token_endpoint)
    }

    /// Where it tells who somebody is.
    pub fn userinfo_endpoint(&self) -> anyhow::Result<&str> {
        self.endpoint("userinfo_endpoint", &self.userinfo_endpoint)
    }

    fn endpoint<'a>(&self, name: &str, endpoint: &'a str) -> anyhow::Result<&'a str> {
        ensure!(!endpoint.is_empty(), "{} names no {name}", self.issuer);
        Ok(endpoint)
    }
}

/// A signature algorithm with a public key.
pub(super) fn asymmetric(name: &str) -> Option<Algorithm> {
    let algorithm: Algorithm = name.parse().ok()?;
    let is_secret = matches!(
        algorithm,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
    );
    (!is_secret).then_some(algorithm)
}

/// How often an issuer may say that its document has moved.
const MAX_REDIRECTS: usize = 3;

/// Asks for a document that anybody may read. It may be elsewhere on the same host: Facebook's is behind a slash.
pub(super) async fn get(http: &Http, mut url: Url) -> anyhow::Result<Response> {
    for _ in 0..MAX_REDIRECTS {
        let response = http.send(Request::new(Method::GET, url.clone())).await?;
        let location = response.headers().get(LOCATION);
        let location = location.filter(|_| response.status().is_redirection());
        let next = location.and_then(|location| url.join(location.to_str().ok()?).ok());
        match next.filter(|next| next.origin() == url.origin()) {
            Some(next) => url = next,
            None => return Ok(response),
        }
    }
    bail!("the document has moved too often");
}

/// A JSON document that anybody may read.
pub(super) async fn document<T: DeserializeOwned>(http: &Http, url: &str) -> anyhow::Result<T> {
    let response = get(http, url.parse()?).await?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "the answer is {status}");
    let body = outside::read(response).await?;
    serde_json::from_slice(&body).context("it is not what it should be")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    fn with(change: &Value) -> anyhow::Result<Discovery> {
        let mut document = json!({
            "issuer": ISSUER,
            "jwks_uri": "https://keys.example/jwks",
            "authorization_endpoint": "https://issuer.example/authorize",
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        let document: Discovery = serde_json::from_value(document)?;
        document.check(ISSUER)?;
        Ok(document)
    }

    #[test]
    fn another_issuers_document_is_none() {
        assert!(with(&json!({})).is_ok());
        for other in [
            "https://issuer.example/",
            "https://ISSUER.example",
            "https://evil.example",
            "",
        ] {
            assert!(with(&json!({ "issuer": other })).is_err(), "{other}");
        }
    }

    #[test]
    fn keys_are_not_taken_over_a_way_that_others_can_write_on() {
        for url in [
            "http://keys.example/jwks",
            "",
            "file:///etc/passwd",
            "//keys.example",
        ] {
            assert!(with(&json!({ "jwks_uri": url })).is_err(), "{url}");
        }
        assert!(with(&json!({"token_endpoint": "http://issuer.example/token"})).is_err());
        let local = Discovery {
            issuer: "http://localhost:8080".to_owned(),
            jwks_uri: "http://localhost:8080/jwks".to_owned(),
            ..with(&json!({})).unwrap()
        };
        assert!(local.check("http://localhost:8080").is_ok());
    }

    #[test]
    fn only_public_keys_sign() {
        let algorithms = |names: Value| {
            with(&json!({"id_token_signing_alg_values_supported": names}))
                .unwrap()
                .algorithms()
        };
        assert_eq!(algorithms(json!([])), [Algorithm::RS256]);
        assert_eq!(
            algorithms(json!(["HS256", "none", "RSA1_5"])),
            [Algorithm::RS256]
        );
        assert_eq!(
            algorithms(json!(["none", "ES256", "HS512", "EdDSA"])),
            [Algorithm::ES256, Algorithm::EdDSA]
        );
    }

    #[test]
    fn an_endpoint_that_is_not_named_is_an_error() {
        let document = with(&json!({})).unwrap();
        assert_eq!(
            document.authorization_endpoint().unwrap(),
            "https://issuer.example/authorize"
        );
        assert!(document.token_endpoint().is_err());
        assert!(document.userinfo_endpoint().is_err());
        let document = with(&json!({"userinfo_endpoint": ""})).unwrap();
        assert!(document.userinfo_endpoint().is_err());
    }
}
