//! Asking a provider's API with the tokens of the person who signed in.

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, Request};
use secrecy::ExposeSecret as _;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Profile, Provider, Tokens, oauth1};
use crate::outside;

/// A visit to a provider on behalf of somebody.
pub struct Visit<'a> {
    provider: &'a Provider,
    /// What the code was traded for.
    pub tokens: &'a Tokens,
    /// What the browser brought along, as JSON, or "".
    pub user: &'a str,
}

impl<'a> Visit<'a> {
    pub(super) const fn new(provider: &'a Provider, tokens: &'a Tokens, user: &'a str) -> Self {
        Self {
            provider,
            tokens,
            user,
        }
    }

    /// The base URL of the provider's API.
    #[must_use]
    pub fn api(&self) -> &str {
        &self.provider.api
    }

    /// Our id there.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.provider.client_id
    }

    /// Our secret there.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.provider.client_secret.expose_secret()
    }

    /// A document of the API, with the access token.
    pub async fn get<T: DeserializeOwned + Default>(&self, url: &str) -> anyhow::Result<T> {
        self.get_with(url, &[]).await
    }

    /// The same, with further headers.
    pub async fn get_with<T: DeserializeOwned + Default>(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> anyhow::Result<T> {
        let document = self.ask(url, headers).await?;
        decode(document).context("the answer of the provider's API")
    }

    /// A document of the API as it stands: what is null stays null.
    pub async fn raw<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let document = self.ask(url, &[]).await?;
        serde_json::from_value(document).context("the answer of the provider's API")
    }

    /// What the token endpoint said under this name, besides the tokens.
    pub fn told<T: DeserializeOwned + Default>(&self, name: &str) -> anyhow::Result<T> {
        let told = self.tokens.more.get(name).cloned();
        decode(told.unwrap_or_default())
            .with_context(|| format!("`{name}` in the token endpoint's answer"))
    }

    /// What the ID token says that came with the access token; none came, none. It has to be of this issuer, and for us.
    pub async fn id_token(&self, issuer: &str) -> anyhow::Result<Option<Profile>> {
        let Some(token) = self.tokens.id_token() else {
            return Ok(None);
        };
        let Provider {
            http, oidc, now, ..
        } = self.provider;
        let token = oidc.issuer(http, issuer, *now).await?.verify(token).await?;
        ensure!(
            token.is_for([self.client_id()]),
            "the ID token is for somebody else"
        );
        token.check_access_token(&self.tokens.access_token)?;
        token.profile().map(Some)
    }

    async fn ask(&self, url: &str, headers: &[(&'static str, &str)]) -> anyhow::Result<Value> {
        let Tokens {
            access_token,
            token_type,
            ..
        } = self.tokens;
        let authorization = match &self.tokens.token_secret {
            None => format!("{token_type} {access_token}"),
            Some(secret) => {
                let token = [("oauth_token", &**access_token)];
                oauth1::authorization(self.provider, url, &token, secret)?
            }
        };
        let mut headers = headers.to_vec();
        headers.push(("authorization", &authorization));
        let body = get(self.provider, url, &headers).await?;
        serde_json::from_slice(&body).context("the answer of the provider's API")
    }
}

/// Whatever stands at this address.
pub(super) async fn get(
    provider: &Provider,
    url: &str,
    headers: &[(&'static str, &str)],
) -> anyhow::Result<Vec<u8>> {
    let mut request = Request::new(Method::GET, url.parse()?);
    for &(name, value) in headers {
        request.headers_mut().append(name, value.parse()?);
    }
    let response = provider.http.send(request).await?;
    let status = response.status();
    let body = outside::read(response).await?;
    if !status.is_success() {
        bail!("the provider's API answered {status}");
    }
    Ok(body)
}

/// Reads JSON as Go does: null leaves a field empty.
pub(super) fn decode<T: DeserializeOwned + Default>(mut value: Value) -> serde_json::Result<T> {
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
    drop_nulls(&mut value);
    Option::deserialize(value).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Person {
        name: String,
        age: i64,
        verified: bool,
        pictures: Vec<String>,
        home: Home,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Home {
        town: String,
    }

    #[test]
    fn what_is_null_or_missing_is_empty() {
        let nothing =
            json!({ "name": null, "age": null, "verified": null, "pictures": null, "home": null });
        for told in [
            Value::Null,
            json!({}),
            nothing,
            json!({ "home": { "town": null }, "unknown": [1] }),
        ] {
            assert_eq!(decode::<Person>(told).unwrap(), Person::default());
        }
        assert_eq!(
            decode::<Vec<Person>>(json!([{ "name": null }])).unwrap(),
            [Person::default()]
        );
    }

    #[test]
    fn another_type_is_an_error() {
        for told in [
            json!({ "name": 5 }),
            json!({ "age": "5" }),
            json!({ "age": 5.5 }),
            json!({ "verified": "true" }),
            json!({ "verified": 1 }),
            json!({ "pictures": {} }),
            json!({ "pictures": [5] }),
            json!({ "home": "Vienna" }),
            json!("text"),
        ] {
            decode::<Person>(told.clone()).expect_err(&told.to_string());
        }
    }
}
