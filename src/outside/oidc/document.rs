//! The part of an issuer's document that GoTrue keeps with a custom provider, and what it says where there is none.

use std::fmt;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::discovery::get;
use crate::outside::guard::Refused;
use crate::outside::{Http, read};

/// The part of an issuer's document that GoTrue keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the words of OpenID Connect Discovery 1.0, section 3"
)]
pub struct Document {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub userinfo_endpoint: String,
    pub jwks_uri: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_types_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_types_supported: Vec<String>,
}

/// Why there is no document, in GoTrue's words (its `utilities/oidc_discovery.go`).
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// There is no such URL.
    #[must_use]
    pub fn no_url(url: &str) -> Self {
        Self::of_request(url, "400: Invalid URL format")
    }

    /// Nobody could be asked there. A refusal of the guard is told word for word; of the network only that it failed:
    /// which ports are open is not told.
    #[must_use]
    pub fn unreachable(url: &str, error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Refused>() {
            Some(refused) => Self::of_request(url, &format!("400: {refused}")),
            None => Self::of_request(url, "500: Failed to fetch URL"),
        }
    }

    fn of_request(url: &str, why: &str) -> Self {
        Self(format!("oidc: discovery request to {url} failed: {why}"))
    }
}

/// Asks for the document of this issuer at `url`, which is a stranger's: it leads to the public internet only.
pub async fn fetch(http: &Http, url: &str, issuer: &str) -> Result<Document, Failure> {
    let place = url.parse().map_err(|_| Failure::no_url(url))?;
    let response = get(&http.guarded([]), place)
        .await
        .map_err(|error| Failure::unreachable(url, &error))?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Failure(format!(
            "oidc: discovery request to {url} returned {status}"
        )));
    }
    // What it says instead is nobody's business: it may be a page of somebody's intranet.
    let unreadable = |why: &str| {
        Failure(format!(
            "oidc: failed to decode discovery document from {url}: {why}"
        ))
    };
    let body = read(response)
        .await
        .map_err(|error| unreadable(&error.to_string()))?;
    let document = decode(&body).ok_or_else(|| unreadable("it is none"))?;
    if document.issuer != issuer {
        return Err(Failure(format!(
            "oidc: issuer mismatch, expected {issuer:?} got {:?}",
            document.issuer
        )));
    }
    Ok(document)
}

/// Reads JSON as Go does: null leaves a member empty.
fn decode(body: &[u8]) -> Option<Document> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    members.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(members)).ok()
}

impl Document {
    /// What the specification requires and this document has not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        [
            ("issuer", &self.issuer),
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("jwks_uri", &self.jwks_uri),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.is_empty().then_some(name))
        .collect()
    }
}
