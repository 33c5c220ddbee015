//! Asking a provider's API with the tokens of the person who signed in.

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Provider, Tokens};
use crate::outside;

/// A visit to a provider on behalf of somebody.
pub struct Visit<'a> {
    provider: &'a Provider,
    /// What the code was traded for.
    pub tokens: &'a Tokens,
}

impl<'a> Visit<'a> {
    pub(super) const fn new(provider: &'a Provider, tokens: &'a Tokens) -> Self {
        Self { provider, tokens }
    }

    /// The base URL of the provider's API.
    pub fn api(&self) -> &str {
        &self.provider.api
    }

    /// A document of the API, with the access token.
    pub async fn get<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        self.get_with(url, &[]).await
    }

    /// The same, with further headers.
    pub async fn get_with<T: DeserializeOwned>(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> anyhow::Result<T> {
        let tokens = self.tokens;
        let authorization = format!("{} {}", tokens.token_type, tokens.access_token);
        let mut request = self.provider.http.client()?.get(url);
        for (name, value) in headers
            .iter()
            .copied()
            .chain([("authorization", &*authorization)])
        {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        let body = outside::read(response).await?;
        if !status.is_success() {
            bail!("the provider's API answered {status}");
        }
        decode(&body).context("the answer of the provider's API")
    }
}

/// Reads JSON as Go does: null leaves a field empty.
fn decode<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    fn drop_nulls(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, member| !member.is_null());
                members.values_mut().for_each(drop_nulls);
            }
            Value::Array(items) => items.iter_mut().for_each(drop_nulls),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(body)?;
    drop_nulls(&mut value);
    serde_json::from_value(value)
}
