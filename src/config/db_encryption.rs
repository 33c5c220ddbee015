//! Encryption of what the database must not tell: password hashes, keys and secrets.

use std::collections::BTreeMap;

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::go::BASE64_RAW_URL;
use super::report::Report;
use super::settings::settings;
use super::value::Value;

settings! {
    /// Encryption of password hashes, refresh-token keys and client secrets in the database.
    pub struct DbEncryption("GOTRUE_SECURITY_DB_ENCRYPTION_") {
        /// What is written is encrypted; what is plain becomes so at the next sign-in or change.
        encrypt: bool = "false",
        /// The name of the key that encrypts.
        encryption_key_id: String = "",
        /// The key that encrypts: 32 bytes as base64url without padding.
        encryption_key: Option<SecretString> = "",
        /// The keys that decrypt, as id:key,id:key; the one that encrypts has to be among them.
        decryption_keys: NamedKeys = "",
    }
}

/// Keys by their names, in base64url.
#[derive(Debug, Clone, Default)]
pub struct NamedKeys(BTreeMap<String, SecretString>);

impl Value for NamedKeys {
    const FORM: &'static str = "a list id:key,id:key";
    const MAY_BE_EMPTY: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let pair = |pair: &str| {
            let (id, key) = pair.split_once(':').filter(|(_, key)| !key.contains(':'))?;
            Some((id.to_owned(), key.into()))
        };
        text.split(',').map(pair).collect::<Option<_>>().map(Self)
    }
}

impl DbEncryption {
    pub(super) fn settle(&self, report: &mut Report) {
        const KEY: &str = "it is not 32 bytes as base64url without padding";

        if self.encrypt {
            let text = self.encryption_key.as_ref();
            if self.encryption_key_id.is_empty() {
                report.mistake(
                    "GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID",
                    "it is required, as GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPT is on",
                );
            }
            if !text.is_some_and(is_key) {
                report.mistake("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY", KEY);
            }
            let readable = self.decryption_keys.0.get(&self.encryption_key_id);
            if readable.map(ExposeSecret::expose_secret) != text.map(ExposeSecret::expose_secret) {
                report.mistake(
                    "GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS",
                    "the key that encrypts is not among them, so that nothing could be read again",
                );
            }
        }
        for (id, key) in &self.decryption_keys.0 {
            if !is_key(key) {
                let fault = format!("the key {id:?}: {KEY}");
                report.mistake("GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS", fault);
            }
        }
    }

    /// The keys that decrypt, by their names.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.decryption_keys
            .0
            .iter()
            .map(|(id, key)| (id.as_str(), key))
    }

    /// The name of the key that encrypts, if anything does.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.encrypt.then_some(self.encryption_key_id.as_str())
    }
}

fn is_key(text: &SecretString) -> bool {
    BASE64_RAW_URL
        .decode(text.expose_secret())
        .is_ok_and(|key| Zeroizing::new(key).len() == 32)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    /// The settings that are wrong.
    fn mistakes(encrypt: &str, id: &str, key: &str, decryption: &str) -> Vec<String> {
        let environment = Environment::from_pairs([
            ("API_EXTERNAL_URL", "https://auth.example.com"),
            ("GOTRUE_SITE_URL", "https://app.example.com"),
            (
                "GOTRUE_JWT_SECRET",
                "a-secret-of-the-tests-with-more-than-32-characters",
            ),
            ("DATABASE_URL", "postgres://localhost/postgres"),
            ("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPT", encrypt),
            ("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID", id),
            ("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY", key),
            ("GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS", decryption),
        ]);
        let Err(errors) = Config::from_environment(&environment) else {
            return Vec::new();
        };
        let told = errors.to_string();
        assert!(!told.contains(KEY) && !told.contains("short"), "{told}");
        let prefix = "GOTRUE_SECURITY_DB_ENCRYPTION_";
        errors
            .0
            .iter()
            .map(|mistake| mistake.subject.trim_start_matches(prefix).to_owned())
            .collect()
    }

    #[test]
    fn keys_are_checked_at_the_start() {
        let both = format!("old:{OTHER},new:{KEY}");
        assert!(mistakes("true", "new", KEY, &both).is_empty());
        assert!(mistakes("false", "", "", &both).is_empty(), "reading alone");
        assert!(mistakes("false", "", "", "").is_empty());
        let (id, key, keys) = ("ENCRYPTION_KEY_ID", "ENCRYPTION_KEY", "DECRYPTION_KEYS");
        assert_eq!(mistakes("true", "", "", ""), [id, key]);
        assert_eq!(mistakes("true", "new", "short", "new:short"), [key, keys]);
        assert_eq!(mistakes("true", "new", KEY, ""), [keys]);
        assert_eq!(
            mistakes("true", "old", KEY, &both),
            [keys],
            "another key of that name"
        );
        assert_eq!(mistakes("false", "", "", "old:short"), [keys]);
        assert_eq!(mistakes("false", "", "", "old"), [keys]);
        assert_eq!(mistakes("false", "", "", "a:b:c"), [keys]);
    }
}
