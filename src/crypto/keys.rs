//! The keys that sign and verify access tokens: the JWKs of `GOTRUE_JWT_KEYS`, or `GOTRUE_JWT_SECRET` alone.
//!
//! Everything is parsed once, at start. What is said about a key names its place and its kid, never its value.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::jwt::Verified;

mod algorithm;
mod jwk;

pub use algorithm::Algorithm;
use jwk::Jwk;

/// Every key of this server, ready for use.
pub struct Keys {
    signing: Signing,
    /// The encoded header of every token we sign, with its dot.
    header: String,
    /// The configured keys by kid (`""` for a key without one), for verification.
    verifying: Vec<(String, Algorithm, Verifying)>,
    /// `GOTRUE_JWT_SECRET`: verifies HS256 tokens whose kid no key has.
    secret: Verifying,
    /// `GOTRUE_JWT_KEY_ID`: names the secret.
    secret_kid: String,
    /// The `alg` values taken from callers.
    valid_methods: Vec<String>,
    /// `{"keys":[..]}`: the public halves.
    jwks: Bytes,
    /// Tokens that these keys have verified.
    pub(super) verified: Verified,
}

enum Signing {
    Hmac(Box<hmac::Key>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(super) enum Verifying {
    Hmac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Keys {
    /// Builds the keys from `GOTRUE_JWT_SECRET`, `GOTRUE_JWT_KEY_ID`, `GOTRUE_JWT_KEYS` (a JSON array of JWKs;
    /// `None` or `[]` when unset) and `GOTRUE_JWT_VALID_METHODS` (empty when unset).
    ///
    /// The error is for the operator's terminal. GoTrue's rules (internal/conf/jwk.go): exactly one key may
    /// sign, of two keys with one kid the later counts, and an unknown `alg` of a secret key signs as HS256.
    pub fn from_config(
        secret: &str,
        key_id: &str,
        keys: Option<&str>,
        valid_methods: &[String],
    ) -> Result<Self, String> {
        if secret.is_empty() {
            return Err("GOTRUE_JWT_SECRET is empty: anybody could make tokens".to_owned());
        }
        let mut jwks = parse(keys.unwrap_or("[]"))?;
        if jwks.is_empty() {
            jwks.push(Jwk::secret(secret.as_bytes(), key_id));
        }
        let valid_methods = if valid_methods.is_empty() {
            jwks.iter()
                .map(|jwk| jwk.algorithm.as_str().to_owned())
                .collect()
        } else {
            valid_methods.to_vec()
        };
        let jwks_body = json!({ "keys": jwks.iter().filter_map(|jwk| jwk.public.as_ref()).collect::<Vec<_>>() }).to_string();
        let mut signers = Vec::new();
        let mut verifying = Vec::new();
        for jwk in jwks {
            signers.extend(
                jwk.signing
                    .map(|key| (key, header(jwk.algorithm, &jwk.kid))),
            );
            verifying.push((jwk.kid, jwk.algorithm, jwk.verifying));
        }
        let (signing, header) = match (signers.pop(), signers.len()) {
            (Some(signer), 0) => signer,
            (None, _) => return Err(
                "GOTRUE_JWT_KEYS: no signing key detected: one key needs \"sign\" in its key_ops"
                    .to_owned(),
            ),
            (Some(_), _) => {
                let fault = "GOTRUE_JWT_KEYS: multiple signing keys detected: only one key may have \"sign\" in its key_ops";
                return Err(fault.to_owned());
            }
        };
        Ok(Self {
            signing,
            header,
            verifying,
            secret: Verifying::Hmac(Box::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                secret.as_bytes(),
            ))),
            secret_kid: key_id.to_owned(),
            valid_methods,
            jwks: Bytes::from(jwks_body),
            verified: Verified::default(),
        })
    }

    /// The public key set, as JSON. It is empty when only secrets are configured.
    #[must_use]
    pub fn jwks(&self) -> &Bytes {
        &self.jwks
    }

    /// The encoded header of our tokens, with its dot.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// Whether a signature takes so long (RSA: a millisecond) that nobody should wait for another's.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(self.signing, Signing::Rsa(..))
    }

    /// Signs `message` with the one signing key.
    pub(super) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        Ok(match &self.signing {
            Signing::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Signing::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature)?;
                signature
            }
            Signing::Ecdsa(key) => key.sign(&random, message)?.as_ref().to_vec(),
            Signing::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        })
    }

    /// Whether tokens of this `alg` are taken at all.
    pub(super) fn takes(&self, alg: &str) -> bool {
        self.valid_methods.iter().any(|method| method == alg)
    }

    /// The key for a token (internal/api/auth.go): by kid, else the secret by its kid, else the secret for HS256.
    pub(super) fn find(&self, kid: Option<&str>, alg: &str) -> Option<(Algorithm, &Verifying)> {
        let secret = Some((Algorithm::Hs256, &self.secret));
        if let Some(kid) = kid {
            if let Some((_, algorithm, key)) =
                self.verifying.iter().find(|(known, ..)| known == kid)
            {
                return Some((*algorithm, key));
            }
            if kid == self.secret_kid {
                return secret;
            }
        }
        if alg == Algorithm::Hs256.as_str() {
            secret
        } else {
            None
        }
    }
}

impl Verifying {
    /// Whether `signature` is this key's over `message`.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// The JWKs of `GOTRUE_JWT_KEYS`, the later of two with one kid.
fn parse(text: &str) -> Result<Vec<Jwk>, String> {
    // Through `Value`: a typed error of serde_json would quote what it found.
    let value: Value = serde_json::from_str(text).map_err(|error| {
        format!(
            "GOTRUE_JWT_KEYS is not JSON (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    let Value::Array(values) = value else {
        return Err("GOTRUE_JWT_KEYS is not a JSON array of JWKs".to_owned());
    };
    let mut jwks: Vec<Jwk> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let jwk = Jwk::parse(index + 1, value)?;
        jwks.retain(|other| other.kid != jwk.kid);
        jwks.push(jwk);
    }
    Ok(jwks)
}

fn header(algorithm: Algorithm, kid: &str) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("alg".to_owned(), algorithm.as_str().into());
    if !kid.is_empty() {
        fields.insert("kid".to_owned(), kid.into());
    }
    fields.insert("typ".to_owned(), "JWT".into());
    URL_SAFE_NO_PAD.encode(Value::Object(fields).to_string()) + "."
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field(
                "kids",
                &self
                    .verifying
                    .iter()
                    .map(|(kid, algorithm, _)| (kid, algorithm))
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
