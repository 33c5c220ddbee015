//! What an administrator says of a custom provider, and whether it may be so.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::auth::external::RESERVED;
use crate::auth::invalid;
use crate::error::Result;
use crate::models::custom_provider::{CustomProvider, ProviderType};
use crate::outside::guard::Guard;

/// A description; what is empty or `None` is not said.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns of GoTrue's table, in its words")]
pub struct Params {
    pub provider_type: String,
    pub identifier: String,
    pub name: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub acceptable_client_ids: Option<Vec<String>>,
    pub scopes: Option<Vec<String>>,
    pub pkce_enabled: Option<bool>,
    pub attribute_mapping: Option<Map<String, Value>>,
    pub custom_claims_allowlist: Option<Vec<String>>,
    pub authorization_params: Option<Map<String, Value>>,
    pub enabled: Option<bool>,
    pub email_optional: Option<bool>,
    pub issuer: String,
    pub discovery_url: Option<String>,
    pub skip_nonce_check: Option<bool>,
    pub authorization_url: String,
    pub token_url: String,
    pub userinfo_url: String,
    pub jwks_uri: Option<String>,
}

/// What no provider may say of a user.
const PROTECTED: [&str; 13] = [
    "id",
    "aud",
    "role",
    "app_metadata",
    "created_at",
    "updated_at",
    "confirmed_at",
    "email_confirmed_at",
    "phone_confirmed_at",
    "email_verified",
    "phone_verified",
    "banned_until",
    "is_super_admin",
];

impl Params {
    /// What a new provider needs.
    pub(super) fn check_new(&self) -> Result<ProviderType> {
        let kind = ProviderType::parse(&self.provider_type)
            .ok_or_else(|| invalid("provider_type must be either 'oauth2' or 'oidc'"))?;
        if self.identifier.is_empty() {
            return Err(invalid("identifier is required"));
        }
        super::check_prefix(&self.identifier)?;
        let common = [
            ("name", self.name.as_str()),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        if let Some((field, _)) = common.iter().find(|(_, value)| value.is_empty()) {
            return Err(invalid(format!("{field} is required")));
        }
        let (needed, whose) = match kind {
            ProviderType::Oidc => (&[("issuer", &self.issuer)][..], "OIDC"),
            ProviderType::Oauth2 => (
                &[
                    ("authorization_url", &self.authorization_url),
                    ("token_url", &self.token_url),
                    ("userinfo_url", &self.userinfo_url),
                ][..],
                "OAuth2",
            ),
        };
        if let Some((field, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            return Err(invalid(format!(
                "{field} is required for {whose} providers"
            )));
        }
        Ok(kind)
    }

    /// What no provider may have.
    pub(super) fn check_values(&self) -> Result<()> {
        for (name, value) in self.authorization_params.iter().flatten() {
            if name == "nonce" || RESERVED.contains(&name.as_str()) {
                return Err(invalid(format!(
                    "Cannot override reserved OAuth parameter: {name}"
                )));
            }
            if !value.is_string() {
                return Err(invalid(format!(
                    "Authorization parameter {name:?} must be a string"
                )));
            }
        }
        for target in self.attribute_mapping.iter().flat_map(Map::keys) {
            if PROTECTED.contains(&target.as_str()) {
                return Err(invalid(format!(
                    "Cannot map to protected system field: {target}"
                )));
            }
        }
        if self
            .custom_claims_allowlist
            .iter()
            .flatten()
            .any(|claim| claim.trim().is_empty())
        {
            return Err(invalid(
                "custom_claims_allowlist entries must be non-empty strings",
            ));
        }
        Ok(())
    }

    /// The URLs that count for a provider of this type, as far as they are said.
    fn urls(&self, kind: ProviderType) -> impl Iterator<Item = &str> {
        let urls = match kind {
            ProviderType::Oidc => [Some(&self.issuer), self.discovery_url.as_ref(), None, None],
            ProviderType::Oauth2 => [
                Some(&self.authorization_url),
                Some(&self.token_url),
                Some(&self.userinfo_url),
                self.jwks_uri.as_ref(),
            ],
        };
        urls.into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|url| !url.is_empty())
    }

    /// Whether its URLs lead nowhere that is not the public's.
    pub(super) async fn check_urls(&self, guard: &Guard, kind: ProviderType) -> Result<()> {
        for url in self.urls(kind) {
            guard
                .check(url)
                .await
                .map_err(|refused| invalid(refused.to_string()))?;
        }
        Ok(())
    }

    /// Whether the issuer's document is another one now. (GoTrue reads it anew when `discovery_url` is "", too.)
    pub(super) fn moves_issuer(&self) -> bool {
        !self.issuer.is_empty() || self.discovery_url.is_some()
    }

    /// Writes what is said into the row, but for the secret.
    pub(super) fn apply(&self, provider: &mut CustomProvider) {
        let text = |field: &mut String, said: &String| {
            if !said.is_empty() {
                field.clone_from(said);
            }
        };
        let url = |field: &mut Option<String>, said: Option<&String>| {
            if let Some(said) = said.filter(|said| !said.is_empty()) {
                *field = Some(said.clone());
            }
        };
        text(&mut provider.name, &self.name);
        text(&mut provider.client_id, &self.client_id);
        set(
            &mut provider.acceptable_client_ids,
            self.acceptable_client_ids.as_ref(),
        );
        set(&mut provider.scopes, self.scopes.as_ref());
        set(&mut provider.pkce_enabled, self.pkce_enabled.as_ref());
        if let Some(mapping) = &self.attribute_mapping {
            provider.attribute_mapping = Value::Object(mapping.clone());
        }
        set(
            &mut provider.custom_claims_allowlist,
            self.custom_claims_allowlist.as_ref(),
        );
        if let Some(parameters) = &self.authorization_params {
            provider.authorization_params = Value::Object(parameters.clone());
        }
        set(&mut provider.enabled, self.enabled.as_ref());
        set(&mut provider.email_optional, self.email_optional.as_ref());
        if provider.is_oidc() {
            url(&mut provider.issuer, Some(&self.issuer));
            url(&mut provider.discovery_url, self.discovery_url.as_ref());
            set(
                &mut provider.skip_nonce_check,
                self.skip_nonce_check.as_ref(),
            );
            let has_openid = provider.scopes.iter().any(|scope| scope == "openid");
            if self.scopes.is_some() && !has_openid {
                provider.scopes.insert(0, "openid".to_owned());
            }
        } else {
            url(
                &mut provider.authorization_url,
                Some(&self.authorization_url),
            );
            url(&mut provider.token_url, Some(&self.token_url));
            url(&mut provider.userinfo_url, Some(&self.userinfo_url));
            url(&mut provider.jwks_uri, self.jwks_uri.as_ref());
        }
    }
}

fn set<T: Clone>(field: &mut T, said: Option<&T>) {
    if let Some(said) = said {
        field.clone_from(said);
    }
}

/// What the table's CHECKs say. GoTrue leaves it to them, and answers 500 with the failing row: with the secret in it.
pub(super) fn check_limits(provider: &CustomProvider) -> Result<()> {
    if !is_identifier(&provider.identifier) {
        return Err(invalid(
            "identifier must have at most 50 characters: 'custom:' and then lower-case letters, digits, '-' and ':', of \
             which the last is a letter or digit",
        ));
    }
    for (field, value, most) in [
        ("name", &provider.name, 100),
        ("client_id", &provider.client_id, 512),
    ] {
        if value.chars().count() > most {
            return Err(invalid(format!(
                "{field} must have at most {most} characters"
            )));
        }
    }
    for url in provider.urls() {
        if url.chars().count() > 2048 {
            return Err(invalid("URL must have at most 2048 characters"));
        }
        if !url.starts_with("https://") {
            return Err(invalid("URL must use HTTPS"));
        }
    }
    Ok(())
}

fn is_identifier(text: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (2..=50).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| is_plain(byte) || matches!(byte, b':' | b'-'))
        && bytes.first().is_some_and(is_plain)
        && bytes.last().is_some_and(is_plain)
}
