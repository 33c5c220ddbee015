//! Signatures of Standard Webhooks: who receives a request knows who sent it, and that nobody changed it.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;

use crate::config::BASE64;

/// What a symmetric secret begins with.
const PREFIX: &str = "v1,whsec_";

/// A symmetric secret that signs.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads `v1,whsec_<base64>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = BASE64.decode(text.strip_prefix(PREFIX)?).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

/// The header `webhook-signature` of a message: one signature for each secret, so that a secret can be changed while
/// receivers know only the old one.
#[must_use]
pub fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut header = String::new();
    for Secret(key) in secrets {
        let mut signing = hmac::Context::with_key(key);
        signing.update(format!("{id}.{timestamp}.").as_bytes());
        signing.update(body);
        // GoTrue's form; Standard Webhooks has a blank alone.
        let between = if header.is_empty() { "" } else { ", " };
        // Writing into a String cannot fail.
        let _ = write!(header, "{between}v1,{}", BASE64.encode(signing.sign()));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    #[test]
    fn signs_as_the_specification_does() {
        let secret = Secret::parse("v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        assert_eq!(
            signatures(&[secret], id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn attack_093_two_secrets_sign_during_a_change_and_none_signs_for_nobody() {
        let secret = |text| Secret::parse(text).unwrap();
        let old = "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let new = "v1,whsec_dHdpbi10d2luLXR3aW4tdHdpbi10d2luLXR3aW4tdHc=";
        let both = signatures(&[secret(old), secret(new)], "1", 2, b"{}");
        let alone = [old, new].map(|text| signatures(&[secret(text)], "1", 2, b"{}"));
        assert_eq!(both, alone.join(", "));
        // Each part of a message is signed.
        for other in [
            signatures(&[secret(old)], "2", 2, b"{}"),
            signatures(&[secret(old)], "1", 3, b"{}"),
            signatures(&[secret(old)], "1", 2, b"{ }"),
        ] {
            assert_ne!(other, alone[0]);
        }
        assert_eq!(signatures(&[], "1", 2, b"{}"), "");
    }

    #[test]
    fn only_symmetric_secrets_in_base64_sign() {
        for text in [
            "",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,whsec_=fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1a,whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
