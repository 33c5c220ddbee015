//! Values at rest: step `cipher`. Opened here without our own code, which is what is on trial.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::documents::object;

/// What to open, and with which key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cipher {
    envelope: String,
    key: String,
    info: String,
    pub r#as: Option<String>,
}

impl Cipher {
    /// The envelope described, with its plain secret; the error says why it does not open.
    pub fn open(&self) -> Result<Map<String, Value>, String> {
        let envelope: Map<String, Value> = serde_json::from_str(&self.envelope)
            .map_err(|error| format!("{:?} is no envelope: {error}", self.envelope))?;
        let bytes = |member: &str| {
            let text = envelope.get(member).and_then(Value::as_str)?;
            STANDARD.decode(text).ok()
        };
        let (mut data, nonce) = bytes("data")
            .zip(bytes("nonce"))
            .ok_or("data or nonce is missing")?;
        let mut key = [0; 32];
        Salt::new(HKDF_SHA256, &[])
            .extract(&URL_SAFE_NO_PAD.decode(&self.key).unwrap())
            .expand(&[self.info.as_bytes()], &AES_256_GCM)
            .and_then(|okm| okm.fill(&mut key))
            .unwrap();
        let secret = UnboundKey::new(&AES_256_GCM, &key)
            .and_then(|key| {
                let nonce = Nonce::try_assume_unique_for_key(&nonce)?;
                LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut data)
            })
            .map_err(|_| "the envelope does not open")?;
        let mut members: Vec<_> = envelope.keys().collect();
        members.sort();
        Ok(object(json!({
            "members": members,
            "key_id": envelope["key_id"],
            "alg": envelope["alg"],
            "nonce_bytes": nonce.len(),
            "secret": String::from_utf8_lossy(secret),
        })))
    }
}
