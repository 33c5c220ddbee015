//! The JOSE header of a token: only `alg` and `kid` decide anything. Keys that a token brings along (`jwk`, `jku`,
//! `x5u`, `x5c`) are never looked at.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::VerifyError;

/// A header is a hundred bytes; longer ones only cost time.
const LONGEST: usize = 4096;
/// How much of a caller's `kid` is repeated in a message.
const LONGEST_ECHO: usize = 64;

/// The algorithms that golang-jwt knows; others are "unavailable" to it.
const REGISTERED: [&str; 14] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "ES512", "EdDSA", "none",
];

#[derive(Deserialize)]
pub(super) struct Header<'a> {
    #[serde(borrow)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) kid: Option<Cow<'a, str>>,
    // These change what the signature means (RFC 7515 §4.1.11, RFC 7797, RFC 7516): refused, not ignored.
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
}

impl<'a> Header<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, VerifyError> {
        if json.len() > LONGEST {
            return Err(VerifyError::Malformed(
                "could not JSON decode header: too long".into(),
            ));
        }
        let header: Self = serde_json::from_slice(json).map_err(|error| {
            let what = if error.is_eof() {
                "unexpected end of JSON input".to_owned()
            } else {
                error.to_string()
            };
            VerifyError::Malformed(format!("could not JSON decode header: {what}").into())
        })?;
        match header {
            Self {
                crit: None,
                b64: None,
                zip: None,
                ..
            } => Ok(header),
            _ => Err(VerifyError::Unverifiable(
                "the header asks for an extension (crit, b64, zip)".into(),
            )),
        }
    }

    /// The `alg`, if golang-jwt knows it.
    pub(super) fn registered_alg(&self) -> Result<&'static str, VerifyError> {
        let alg = self.alg.as_deref().ok_or(VerifyError::Unverifiable(
            "signing method (alg) is unspecified".into(),
        ))?;
        let known = REGISTERED.into_iter().find(|known| *known == alg);
        known.ok_or(VerifyError::Unverifiable(
            "signing method (alg) is unavailable".into(),
        ))
    }

    /// Nothing verifies this kid and algorithm.
    pub(super) fn unrecognized(&self) -> VerifyError {
        let kid = self.kid.as_deref().unwrap_or("<nil>");
        let kid: String = kid.chars().take(LONGEST_ECHO).collect();
        let alg = self.alg.as_deref().unwrap_or_default();
        let what = format!(
            "error while executing keyfunc: unrecognized JWT kid {kid} for algorithm {alg}"
        );
        VerifyError::Unverifiable(what.into())
    }
}
