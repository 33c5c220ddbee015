//! Encryption at rest, as GoTrue does it (its `crypto.EncryptedString`): a column's text is either plain, or a JSON
//! envelope that only the row it was made for can open, because the row's id goes into the key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::BASE64_RAW_URL;

/// The one algorithm: AES-256-GCM under a key that HKDF-SHA256 derives for each row.
const ALGORITHM: &str = "aes-gcm-hkdf";

/// A key that those of all rows are derived from.
struct MasterKey(Prk);

impl MasterKey {
    /// Reads 32 bytes of base64url without padding.
    fn decode(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_RAW_URL.decode(text).ok()?);
        (bytes.len() == 32).then(|| Self(Salt::new(HKDF_SHA256, &[]).extract(&bytes)))
    }

    fn for_row(&self, id: Uuid) -> Result<RandomizedNonceKey, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        let id = id.to_string();
        self.0
            .expand(&[id.as_bytes()], &AES_256_GCM)?
            .fill(&mut *key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &*key)
    }
}

/// An envelope, member by member as GoTrue writes it.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    key_id: Cow<'a, str>,
    #[serde(borrow)]
    alg: Cow<'a, str>,
    data: String,
    nonce: String,
}

impl<'a> Envelope<'a> {
    /// `None` for plain text, which may also begin with a brace.
    fn parse(text: &'a str) -> Option<Self> {
        let envelope: Self = text
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok())??;
        let valid =
            envelope.alg == ALGORITHM && !envelope.key_id.is_empty() && envelope.bytes().is_some();
        valid.then_some(envelope)
    }

    /// Ciphertext with its tag, and nonce.
    fn bytes(&self) -> Option<(Vec<u8>, [u8; NONCE_LEN])> {
        let data = STANDARD.decode(&self.data).ok()?;
        let nonce = STANDARD.decode(&self.nonce).ok()?.try_into().ok()?;
        (!data.is_empty()).then_some((data, nonce))
    }
}

/// Why an envelope could not be opened. Names the key, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No key of this name is configured.
    UnknownKey(String),
    /// It was made with another key, for another row, or was changed since.
    Mismatch,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(id) => write!(
                f,
                "an encrypted value needs the key {id:?}, which \
                 GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS does not have"
            ),
            Self::Mismatch => f.write_str("an encrypted value does not fit its key or its row"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The keys of this server: seals what it writes, and opens what it reads.
#[derive(Default)]
pub struct Vault {
    keys: BTreeMap<String, MasterKey>,
    /// The name of the key that seals; none: what is written stays plain.
    current: Option<String>,
}

impl Vault {
    /// Opens with `keys`, by their names, and seals with the one called `current`, if any. `None` when a text is not
    /// 32 bytes of base64url, or `current` is not there.
    #[must_use]
    pub fn new<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
        current: Option<&str>,
    ) -> Option<Self> {
        let keys: BTreeMap<_, _> = keys
            .into_iter()
            .map(|(name, text)| Some((name.to_owned(), MasterKey::decode(text)?)))
            .collect::<Option<_>>()?;
        let known = current.is_none_or(|name| keys.contains_key(name));
        known.then(|| Self {
            keys,
            current: current.map(str::to_owned),
        })
    }

    /// Whether what is written is sealed.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.current.is_some()
    }

    /// What to write for `plain` in the row `id`.
    ///
    /// # Panics
    ///
    /// When the cipher refuses a text of ordinary length, which it cannot.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "AES-256-GCM refuses only texts of more than 64 GiB"
    )]
    pub fn seal(&self, id: Uuid, plain: &str) -> String {
        let Some((name, key)) = self
            .current
            .as_ref()
            .and_then(|name| self.keys.get_key_value(name))
        else {
            return plain.to_owned();
        };
        let mut data = plain.as_bytes().to_vec();
        let nonce = key
            .for_row(id)
            .and_then(|key| key.seal_in_place_append_tag(Aad::empty(), &mut data))
            .expect("a text that fits into memory can be encrypted");
        let envelope = Envelope {
            key_id: name.into(),
            alg: ALGORITHM.into(),
            data: STANDARD.encode(data),
            nonce: STANDARD.encode(nonce.as_ref()),
        };
        serde_json::to_string(&envelope).expect("four texts are JSON")
    }

    /// What a column of the row `id` says: plain text as it stands, an envelope opened.
    pub fn open<'a>(&self, id: Uuid, stored: &'a str) -> Result<Cow<'a, str>, Unreadable> {
        let Some(envelope) = Envelope::parse(stored) else {
            return Ok(stored.into());
        };
        let key = self
            .keys
            .get(&*envelope.key_id)
            .ok_or_else(|| Unreadable::UnknownKey(envelope.key_id.to_string()))?;
        let open = || {
            let (mut data, nonce) = envelope.bytes()?;
            let nonce = Nonce::assume_unique_for_key(nonce);
            let plain = key
                .for_row(id)
                .ok()?
                .open_in_place(nonce, Aad::empty(), &mut data)
                .ok()?;
            String::from_utf8(plain.to_vec()).ok()
        };
        open().map(Cow::Owned).ok_or(Unreadable::Mismatch)
    }

    /// What to write in place of a column's text that is plain, or sealed with a key of former days. `None`: it is as it
    /// should be, or cannot be opened.
    #[must_use]
    pub fn renew(&self, id: Uuid, stored: &str) -> Option<String> {
        let current = self.current.as_deref()?;
        if Envelope::parse(stored).is_some_and(|envelope| envelope.key_id == current) {
            return None;
        }
        let plain = Zeroizing::new(self.open(id, stored).ok()?.into_owned());
        Some(self.seal(id, &plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a database that GoTrue v2.196 made: a TOTP secret, bound to its factor.
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const ROW: &str = "9a105b55-94ec-4fd1-a240-ebab34524ff4";
    const SEALED: &str = r#"{"key_id":"k1","alg":"aes-gcm-hkdf","data":"WDNGBxJ1MdXCDmsseSwbrmIdI5Y4gnPq4FHECErHknkJOTL/3xt9dy8Aha0Ax36R","nonce":"lowRkDMNLeRCSnyB"}"#;
    const PLAIN: &str = "2Z5EL7ZMWYJFCMSIHX56LGMXJBQK3ZEN";

    fn vault(keys: &[(&str, &str)], current: Option<&str>) -> Vault {
        Vault::new(keys.iter().copied(), current).unwrap()
    }

    fn row() -> Uuid {
        ROW.parse().unwrap()
    }

    #[test]
    fn what_gotrue_sealed_opens() {
        let vault = vault(&[("k1", KEY)], None);
        assert_eq!(vault.open(row(), SEALED).unwrap(), PLAIN);
        assert_eq!(
            vault.open(Uuid::nil(), SEALED),
            Err(Unreadable::Mismatch),
            "an envelope of another row"
        );
        let changed = SEALED.replace("WDNG", "WDNH");
        assert_eq!(vault.open(row(), &changed), Err(Unreadable::Mismatch));
        let other = SEALED.replace("\"k1\"", "\"k9\"");
        assert_eq!(
            vault.open(row(), &other),
            Err(Unreadable::UnknownKey("k9".into()))
        );
    }

    #[test]
    fn what_is_sealed_opens_again_and_is_never_the_same() {
        let vault = vault(&[("k1", KEY)], Some("k1"));
        let (one, two) = (vault.seal(row(), PLAIN), vault.seal(row(), PLAIN));
        assert_ne!(one, two);
        let members = [
            "{\"key_id\":\"k1\",\"alg\":\"aes-gcm-hkdf\",\"data\":\"",
            "\",\"nonce\":\"",
        ];
        assert!(
            one.starts_with(members[0]) && one.contains(members[1]),
            "{one}"
        );
        assert!(!one.contains(PLAIN));
        assert_eq!(vault.open(row(), &one).unwrap(), PLAIN);
    }

    #[test]
    fn plain_text_is_plain() {
        let vault = vault(&[("k1", KEY)], None);
        let not_quite = [
            "",
            "$2a$10$abc",
            "{",
            "{}",
            r#"{"key_id":"","alg":"aes-gcm-hkdf","data":"AAAA","nonce":"lowRkDMNLeRCSnyB"}"#,
            r#"{"key_id":"k1","alg":"rot13","data":"AAAA","nonce":"lowRkDMNLeRCSnyB"}"#,
            r#"{"key_id":"k1","alg":"aes-gcm-hkdf","data":"","nonce":"lowRkDMNLeRCSnyB"}"#,
            r#"{"key_id":"k1","alg":"aes-gcm-hkdf","data":"AAAA","nonce":"AAAA"}"#,
        ];
        for text in not_quite {
            assert_eq!(vault.open(row(), text).unwrap(), text);
            assert_eq!(vault.seal(row(), text), text);
            assert_eq!(vault.renew(row(), text), None, "sealing is off");
        }
    }

    #[test]
    fn keys_come_and_go() {
        let old = vault(&[("old", KEY)], Some("old")).seal(row(), PLAIN);
        let new_key = KEY.replace("AAEC", "CCEC");
        let keys = [("old", KEY), ("new", new_key.as_str())];
        let vault = vault(&keys, Some("new"));
        for stored in [old.as_str(), PLAIN] {
            let new = vault.renew(row(), stored).unwrap();
            assert!(new.starts_with("{\"key_id\":\"new\""), "{new}");
            assert_eq!(vault.open(row(), &new).unwrap(), PLAIN);
            assert_eq!(vault.renew(row(), &new), None);
        }
        assert_eq!(vault.renew(Uuid::nil(), &old), None, "it does not open");
    }

    #[test]
    fn a_key_has_32_bytes_and_a_name_that_is_known() {
        assert!(Vault::new([("k1", KEY)], Some("k2")).is_none());
        for text in [
            "",
            "short",
            &KEY[1..],
            &format!("{KEY}="),
            &format!("{KEY}AAAA"),
        ] {
            assert!(Vault::new([("k1", text)], None).is_none(), "{text:?}");
        }
    }
}
