//! Access tokens: JWTs in compact form (RFC 7515, RFC 7519), signed and verified with [`Keys`].
//!
//! What GoTrue's library tells callers about a bad token is part of the wire, so [`VerifyError`] speaks its words.
//! Stricter than that library: no `crit` and no `b64` in the header, no header field twice, base64url in its one
//! spelling, claim names in their exact case and once each, and a key serves its own algorithm only.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Result;

use super::keys::{Algorithm, Keys};

mod claims;
mod header;
mod verified;

use claims::Received;
use header::Header;
pub(super) use verified::Verified;

/// The claims of an access token, in GoTrue's order (internal/tokens, `AccessTokenClaims`).
#[derive(Debug, Clone, Serialize)]
pub struct Claims<'a> {
    /// `GOTRUE_JWT_ISSUER`; left out when empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub iss: &'a str,
    /// The user.
    pub sub: Uuid,
    /// The user's audience: one plain string.
    pub aud: &'a str,
    /// When the token ends, in Unix seconds.
    pub exp: i64,
    /// When it was made, in Unix seconds.
    pub iat: i64,
    /// `""` when the user has none.
    pub email: &'a str,
    /// `""` when the user has none.
    pub phone: &'a str,
    /// `raw_app_meta_data`
    pub app_metadata: &'a Map<String, Value>,
    /// `raw_user_meta_data`
    pub user_metadata: &'a Map<String, Value>,
    /// The Postgres role.
    pub role: &'a str,
    /// `aal1` or `aal2`.
    pub aal: &'a str,
    /// How the user signed in, newest first.
    pub amr: &'a [Amr<'a>],
    /// The session.
    pub session_id: Uuid,
    /// Whether this user has no address and no identity.
    pub is_anonymous: bool,
    /// The OAuth client of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Uuid>,
    /// What that client may do, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
}

/// One authentication method reference (RFC 8176, as GoTrue writes it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Amr<'a> {
    /// `password`, `otp`, `totp`, ..
    pub method: &'a str,
    /// When it was last used, in Unix seconds.
    pub timestamp: i64,
    /// The SSO provider's id, for `sso/saml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
}

/// What a verified bearer token says. Absent claims are empty, as in GoTrue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerClaims {
    /// The user; not yet known to be a UUID.
    pub sub: String,
    /// One or many.
    pub aud: Vec<String>,
    /// `service_role`, `authenticated`, ..
    pub role: String,
    /// The session; not yet known to be a UUID.
    pub session_id: String,
    /// `aal1` or `aal2`.
    pub aal: String,
    /// When the token ends, in Unix seconds.
    pub exp: Option<i64>,
    /// When it begins.
    pub nbf: Option<i64>,
    /// Whether the user is an anonymous one.
    pub is_anonymous: bool,
    /// The OAuth client of the session.
    pub client_id: String,
}

impl BearerClaims {
    /// Whether the token is valid at `now`.
    fn check(&self, now: Timestamp) -> Result<(), VerifyError> {
        // Both are whole seconds, so the fraction of `now` cannot matter.
        let now = now.timestamp();
        let expired = self.exp.is_some_and(|exp| now >= exp);
        let early = self.nbf.is_some_and(|nbf| now < nbf);
        match (expired, early) {
            (true, true) => Err(VerifyError::NeverValid),
            (true, false) => Err(VerifyError::Expired),
            (false, true) => Err(VerifyError::NotYetValid),
            (false, false) => Ok(()),
        }
    }
}

/// Why a bearer token is refused, in the words of GoTrue's library (golang-jwt v5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// It is no JWT.
    Malformed(Cow<'static, str>),
    /// No key fits it.
    Unverifiable(Cow<'static, str>),
    /// The key does not confirm it.
    BadSignature(Cow<'static, str>),
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// Both at once.
    NeverValid,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "token is malformed: {what}"),
            Self::Unverifiable(what) => write!(f, "token is unverifiable: {what}"),
            Self::BadSignature(what) => write!(f, "token signature is invalid: {what}"),
            Self::Expired => f.write_str("token has invalid claims: token is expired"),
            Self::NotYetValid => f.write_str("token has invalid claims: token is not valid yet"),
            Self::NeverValid => {
                f.write_str("token has invalid claims: token is expired, token is not valid yet")
            }
        }
    }
}

impl std::error::Error for VerifyError {}

impl Keys {
    /// Signs `claims` as a JWT.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        self.sign_message(self.message(claims)?)
    }

    /// What is signed for `claims`: header and claims.
    pub fn message(&self, claims: &impl Serialize) -> Result<String> {
        let claims = serde_json::to_vec(claims).map_err(anyhow::Error::from)?;
        let mut message = String::with_capacity(self.header().len() + claims.len() * 4 / 3 + 128);
        message.push_str(self.header());
        URL_SAFE_NO_PAD.encode_string(&claims, &mut message);
        Ok(message)
    }

    /// Makes the token of a [`message`](Self::message).
    pub fn sign_message(&self, message: String) -> Result<String> {
        let mut token = message;
        let signature = self
            .signature(token.as_bytes())
            .map_err(|Unspecified| anyhow::anyhow!("a token could not be signed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Checks a bearer token: form, algorithm, key, signature, and `exp` and `nbf` where present, without leeway.
    /// `iss`, `aud` and `iat` are not judged here, as in GoTrue.
    ///
    /// A token that was verified before is only asked for its times.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<BearerClaims>, VerifyError> {
        let digest = verified::digest_of(token);
        let claims = match self.verified.get(&digest) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.verify_signature(token)?);
                self.verified.remember(digest, &claims);
                claims
            }
        };
        claims.check(now)?;
        Ok(claims)
    }

    fn verify_signature(&self, token: &str) -> Result<BearerClaims, VerifyError> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifyError::Malformed(
                "token contains an invalid number of segments".into(),
            ));
        };
        let message = token
            .get(..header.len() + 1 + claims.len())
            .unwrap_or_default();
        let header = decode(header, "header")?;
        let header = Header::parse(&header)?;
        let claims = decode(claims, "claim")?;
        let claims = Received::parse(&claims)?;
        let alg = header.registered_alg()?;
        let signature = decode(signature, "signature")?;
        if !self.takes(alg) {
            return Err(VerifyError::BadSignature(
                format!("signing method {alg} is invalid").into(),
            ));
        }
        let (algorithm, key) = self
            .find(header.kid.as_deref(), alg)
            .ok_or_else(|| header.unrecognized())?;
        if algorithm.as_str() != alg {
            return Err(VerifyError::BadSignature(wrong_key(alg).into()));
        }
        if !key.accepts(message.as_bytes(), &signature) {
            return Err(VerifyError::BadSignature(mismatch(algorithm).into()));
        }
        Ok(claims.into())
    }
}

fn decode(part: &str, name: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(length) => length - length % 4,
            DecodeError::InvalidPadding => part.find('=').unwrap_or(part.len()),
        };
        VerifyError::Malformed(
            format!("could not base64 decode {name}: illegal base64 data at input byte {at}")
                .into(),
        )
    })
}

/// golang-jwt's words for a key of another kind than the token's `alg`.
fn wrong_key(alg: &str) -> &'static str {
    match alg.get(..2) {
        Some("HS") => "key is of invalid type: HMAC verify expects []byte",
        Some("RS" | "PS") => "key is of invalid type: RSA verify expects *rsa.PublicKey",
        Some("ES") => "key is of invalid type: ECDSA verify expects *ecdsa.PublicKey",
        Some("Ed") => "key is of invalid type: Ed25519 verify expects ed25519.PublicKey",
        _ => "key is of invalid type",
    }
}

/// Go's words for a signature that does not verify.
const fn mismatch(algorithm: Algorithm) -> &'static str {
    use Algorithm::{EdDsa, Es256, Es384, Es512, Hs256, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    match algorithm {
        Hs256 => "signature is invalid",
        Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => "crypto/rsa: verification error",
        Es256 | Es384 | Es512 => "crypto/ecdsa: verification error",
        EdDsa => "ed25519: verification error",
    }
}

#[cfg(test)]
mod tests;
