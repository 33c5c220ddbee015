//! What GoTrue calls experimental.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::settings::settings;
use super::value::Value;

settings! {
    /// What GoTrue calls experimental.
    pub struct Experimental("GOTRUE_EXPERIMENTAL_") {
        /// GET /admin/users without `page` answers pages by cursor, without counting.
        cursor_pagination_enabled: bool = "false",
        /// A user without e-mail identity gets one with the first password.
        create_email_identity_on_password_set_enabled: bool = "false",
        /// Accounts of providers in one domain are linked by address, in different domains never: provider=domain,..
        provider_linking_domains: LinkingDomains = "",
        /// Providers with a domain of their own; the older form of the above.
        providers_with_own_linking_domain: Vec<String> = "",
    }
}

impl Experimental {
    pub(super) fn settle(&mut self) {
        for provider in &self.providers_with_own_linking_domain {
            let domains = &mut self.provider_linking_domains.0;
            domains
                .entry(provider.clone())
                .or_insert_with(|| provider.clone());
        }
    }

    /// Providers whose accounts are not linked with those of other providers.
    #[must_use]
    pub fn own_linking_domains(&self) -> Vec<String> {
        self.provider_linking_domains
            .iter()
            .filter(|(_, domain)| *domain != DEFAULT_LINKING_DOMAIN)
            .map(|(provider, _)| provider.clone())
            .collect()
    }
}

/// Domains of account linking by provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkingDomains(BTreeMap<String, String>);

/// The domain of providers that have no other.
pub const DEFAULT_LINKING_DOMAIN: &str = "default";

impl LinkingDomains {
    /// The domain of a provider. An SSO provider is one by itself.
    #[must_use]
    pub fn of<'a>(&'a self, provider: &'a str) -> &'a str {
        if provider.starts_with("sso:") {
            return provider;
        }
        self.0
            .get(provider)
            .map_or(DEFAULT_LINKING_DOMAIN, String::as_str)
    }
}

impl Deref for LinkingDomains {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Value for LinkingDomains {
    const FORM: &'static str = "a list provider=domain,provider=domain";
    const MAY_BE_EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let pairs = text.split(',').map(|pair| {
            let (provider, domain) = pair.split_once('=')?;
            let (provider, domain) = (provider.trim(), domain.trim());
            (!provider.is_empty() && !domain.is_empty())
                .then(|| (provider.to_owned(), domain.to_owned()))
        });
        pairs.collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_follow_equals_signs() {
        let domains =
            LinkingDomains::parse("custom:github=social, google = social ,x=a=b").unwrap();
        let pairs: Vec<_> = domains
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("custom:github", "social"),
                ("google", "social"),
                ("x", "a=b")
            ]
        );
        assert!(LinkingDomains::parse("  ").unwrap().is_empty());
        for text in ["a", "a=", "=b", "a=b,", ",a=b"] {
            assert_eq!(LinkingDomains::parse(text), None, "{text:?}");
        }
    }
}
