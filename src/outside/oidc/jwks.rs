//! The keys that an issuer signs with (RFC 7517).

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::discovery::{asymmetric, document};
use crate::outside::Http;

/// An issuer's public keys.
pub(super) struct Jwks(Vec<Key>);

struct Key {
    kid: Option<String>,
    /// The only one it serves, where the issuer says so.
    algorithm: Option<Algorithm>,
    public: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Jwks {
    /// Reads them.
    pub(super) async fn fetch(http: &Http, url: &str) -> anyhow::Result<Self> {
        let Document { keys } = document(http, url).await?;
        Ok(Self(keys.iter().filter_map(Key::parse).collect()))
    }

    /// Whether one of them has signed this message. A token that names its key is tried with no other.
    pub(super) fn confirm(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &str,
        signature: &str,
    ) -> bool {
        self.0
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
            .filter(|key| key.algorithm.is_none_or(|own| own == algorithm))
            .any(|key| {
                jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.public, algorithm)
                    .unwrap_or(false)
            })
    }
}

impl Key {
    /// A key that can confirm a signature; others that an issuer publishes are no concern of ours.
    fn parse(jwk: &Value) -> Option<Self> {
        let algorithm = match jwk.get("alg").and_then(Value::as_str) {
            Some(name) => Some(asymmetric(name)?),
            None => None,
        };
        let jwk = Jwk::deserialize(jwk).ok()?;
        let public = DecodingKey::from_jwk(&jwk).ok()?;
        let usage = jwk.common.public_key_use;
        let signs = usage.is_none_or(|usage| usage == PublicKeyUse::Signature);
        (signs && public.family() != AlgorithmFamily::Hmac).then_some(Self {
            kid: jwk.common.key_id,
            algorithm,
            public,
        })
    }
}
