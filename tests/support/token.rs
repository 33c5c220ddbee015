//! JSON Web Tokens made and opened here, independently of the code under test.

use std::collections::HashMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use truegate::clock::Timestamp;

/// The keys of the server's own environment.
#[derive(Default)]
pub struct Keys {
    secret: String,
    by_id: HashMap<String, Value>,
}

impl Keys {
    pub fn of(environment: &HashMap<String, String>) -> Self {
        let keys: Vec<Value> = match environment.get("GOTRUE_JWT_KEYS") {
            Some(keys) if !keys.is_empty() => serde_json::from_str(keys).unwrap(),
            _ => Vec::new(),
        };
        let by_id = keys
            .into_iter()
            .filter_map(|key| Some((key["kid"].as_str()?.to_owned(), key)))
            .collect();
        Self {
            secret: environment["GOTRUE_JWT_SECRET"].clone(),
            by_id,
        }
    }
}

/// A token to be made: step `jwt`.
#[derive(Deserialize)]
pub struct Recipe {
    #[serde(default = "hs256")]
    alg: String,
    /// Text for HMAC, a JSON Web Key for the others.
    #[serde(default)]
    key: Value,
    claims: Value,
    #[serde(default)]
    header: Map<String, Value>,
}

fn hs256() -> String {
    "HS256".into()
}

impl Recipe {
    /// For these claims, with a secret.
    pub fn hs256(secret: &str, claims: Value) -> Self {
        Self {
            alg: hs256(),
            key: secret.into(),
            claims,
            header: Map::new(),
        }
    }

    /// Signs with the key of the recipe; `"standin"` names the stand-in's.
    pub fn sign(mut self, standin: &Value, now: Timestamp) -> String {
        let mut header = json!({"alg": self.alg, "typ": "JWT"})
            .as_object()
            .unwrap()
            .clone();
        if self.key == "standin" {
            self.key = standin.clone();
            header.insert("kid".into(), standin["kid"].clone());
        }
        header.append(&mut self.header);
        let claims = at_moment(self.claims, now);
        let encode = |part: String| URL_SAFE_NO_PAD.encode(part);
        let message = format!(
            "{}.{}",
            encode(Value::Object(header).to_string()),
            encode(claims.to_string())
        );
        let signature = sign(&self.alg, &self.key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `"<unix:now-60>"` becomes that number.
fn at_moment(claims: Value, now: Timestamp) -> Value {
    match claims {
        Value::String(text) => match text
            .strip_prefix("<unix:now")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            Some("") => now.timestamp().into(),
            Some(offset) => (now.timestamp() + offset.parse::<i64>().unwrap()).into(),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(|item| at_moment(item, now)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, item)| (name, at_moment(item, now)))
            .collect(),
        other => other,
    }
}

fn sign(algorithm: &str, key: &Value, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let ecdsa = |algorithm| {
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            &member(key, "d"),
            &point(key),
        )
        .unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    };
    let rsa = |padding| {
        let components = rsa::KeyPairComponents {
            public_key: rsa::PublicKeyComponents {
                n: member(key, "n"),
                e: member(key, "e"),
            },
            d: member(key, "d"),
            p: member(key, "p"),
            q: member(key, "q"),
            dP: member(key, "dp"),
            dQ: member(key, "dq"),
            qInv: member(key, "qi"),
        };
        let key = rsa::KeyPair::from_components(&components).unwrap();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &random, message, &mut signature).unwrap();
        signature
    };
    let mac = |algorithm| {
        let secret = key
            .as_str()
            .map_or_else(|| member(key, "k"), |secret| secret.as_bytes().to_vec());
        hmac::sign(&hmac::Key::new(algorithm, &secret), message)
            .as_ref()
            .to_vec()
    };
    match algorithm {
        "none" => Vec::new(),
        "HS256" => mac(hmac::HMAC_SHA256),
        "HS512" => mac(hmac::HMAC_SHA512),
        "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
        "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
        "ES256" => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        "ES512" => ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        "EdDSA" => {
            let key =
                Ed25519KeyPair::from_seed_and_public_key(&member(key, "d"), &member(key, "x"))
                    .unwrap();
            key.sign(message).as_ref().to_vec()
        }
        other => panic!("cannot sign with {other}"),
    }
}

/// Header, claims, and whether the signature fits the server's keys; nothing when it is no token.
pub fn open(token: &str, keys: &Keys) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    sort_amr(&mut claims);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let fits = is_signed(&header, message.as_bytes(), &signature, keys);
    Some(json!({"header": header, "claims": claims, "signature": fits}))
}

/// GoTrue's order of methods within one second is random, so it does not count.
fn sort_amr(claims: &mut Value) {
    let Some(methods) = claims.get_mut("amr").and_then(Value::as_array_mut) else {
        return;
    };
    if !methods.iter().all(Value::is_object) {
        return;
    }
    let times = || {
        methods
            .iter()
            .map(|method| method["timestamp"].as_i64().unwrap_or(0))
    };
    if let (Some(first), Some(last)) = (times().min(), times().max())
        && last - first <= 30
    {
        methods.sort_by_key(|method| method["method"].to_string());
    }
}

fn is_signed(header: &Value, message: &[u8], signature: &[u8], keys: &Keys) -> bool {
    let key = header["kid"].as_str().and_then(|id| keys.by_id.get(id));
    let public = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .is_ok()
    };
    let rsa = |algorithm: &'static signature::RsaParameters, key: &Value| {
        let components = rsa::PublicKeyComponents {
            n: member(key, "n"),
            e: member(key, "e"),
        };
        components.verify(algorithm, message, signature).is_ok()
    };
    match (header["alg"].as_str(), key) {
        (Some("HS256"), key) => {
            let secret =
                key.map_or_else(|| keys.secret.as_bytes().to_vec(), |key| member(key, "k"));
            hmac::verify(
                &hmac::Key::new(hmac::HMAC_SHA256, &secret),
                message,
                signature,
            )
            .is_ok()
        }
        (Some("RS256"), Some(key)) => rsa(&signature::RSA_PKCS1_2048_8192_SHA256, key),
        (Some("RS512"), Some(key)) => rsa(&signature::RSA_PKCS1_2048_8192_SHA512, key),
        (Some("ES256"), Some(key)) => public(&signature::ECDSA_P256_SHA256_FIXED, &point(key)),
        (Some("ES512"), Some(key)) => public(&signature::ECDSA_P521_SHA512_FIXED, &point(key)),
        (Some("EdDSA"), Some(key)) => public(&signature::ED25519, &member(key, "x")),
        _ => false,
    }
}

/// A base64url member of a JSON Web Key.
fn member(key: &Value, name: &str) -> Vec<u8> {
    let text = key[name]
        .as_str()
        .unwrap_or_else(|| panic!("the key has no member {name}"));
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The public point of an elliptic curve key, uncompressed.
fn point(key: &Value) -> Vec<u8> {
    [vec![4], member(key, "x"), member(key, "y")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-secret-of-at-least-thirty-two-characters";

    fn keys() -> Keys {
        Keys {
            secret: SECRET.into(),
            by_id: HashMap::new(),
        }
    }

    fn signed(recipe: Value) -> String {
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        serde_json::from_value::<Recipe>(recipe)
            .unwrap()
            .sign(&Value::Null, now)
    }

    #[test]
    fn a_token_opens_with_the_key_that_signed_it() {
        let token = signed(json!({"key": SECRET, "claims": {"exp": "<unix:now+60>"}}));
        let expected = json!({"header": {"alg": "HS256", "typ": "JWT"}, "claims": {"exp": 1_800_000_060}, "signature": true});
        assert_eq!(open(&token, &keys()), Some(expected));
        let forged = signed(json!({"key": "another", "claims": {}}));
        assert_eq!(open(&forged, &keys()).unwrap()["signature"], false);
        let unsigned = signed(json!({"alg": "none", "claims": {}}));
        assert_eq!(open(&unsigned, &keys()).unwrap()["signature"], false);
    }

    #[test]
    fn the_order_of_methods_within_seconds_does_not_count() {
        let claims = json!({"amr": [{"method": "totp", "timestamp": 9}, {"method": "password", "timestamp": 2}]});
        let opened = open(&signed(json!({"key": SECRET, "claims": claims})), &keys()).unwrap();
        assert_eq!(opened["claims"]["amr"][0]["method"], "password");
    }
}
