//! Proof key for code exchange (RFC 7636), with GoTrue's rules and words.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// How the challenge follows from the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Base64url of SHA-256.
    S256,
    /// The verifier itself.
    Plain,
}

impl Method {
    /// Reads a method in any case.
    #[must_use]
    pub fn parse(method: &str) -> Option<Self> {
        [Self::S256, Self::Plain]
            .into_iter()
            .find(|known| method.eq_ignore_ascii_case(known.as_str()))
    }

    /// The value of the enum `code_challenge_method` in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "s256",
            Self::Plain => "plain",
        }
    }
}

/// A well-formed challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// `code_challenge`
    pub challenge: &'a str,
    /// `code_challenge_method`
    pub method: Method,
}

/// Why the two parameters are no challenge; displayed in GoTrue's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// One of the two is missing.
    Incomplete,
    /// Not 43 to 128 characters.
    Length,
    /// A character outside `A-Za-z0-9._~-`.
    Characters,
    /// Neither `s256` nor `plain`.
    Method(String),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "PKCE flow requires code_challenge_method and code_challenge",
            Self::Length => "code challenge has to be between 43 and 128 characters",
            Self::Characters => {
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"
            }
            Self::Method(method) => return write!(f, "unsupported code_challenge method {method:?}"),
        })
    }
}

impl<'a> Challenge<'a> {
    /// Checks the two parameters of a request; both empty is no PKCE flow at all.
    pub fn parse(challenge: &'a str, method: &str) -> Result<Option<Self>, Invalid> {
        match (challenge.is_empty(), method.is_empty()) {
            (true, true) => return Ok(None),
            (true, false) | (false, true) => return Err(Invalid::Incomplete),
            (false, false) => {}
        }
        if !(43..=128).contains(&challenge.len()) {
            return Err(Invalid::Length);
        }
        if !challenge
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        {
            return Err(Invalid::Characters);
        }
        let known = Method::parse(method).ok_or_else(|| Invalid::Method(method.to_owned()))?;
        Ok(Some(Self {
            challenge,
            method: known,
        }))
    }

    /// Whether `verifier` answers this challenge.
    #[must_use]
    pub fn is_answered_by(&self, verifier: &str) -> bool {
        let answer = match self.method {
            Method::S256 => URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())),
            Method::Plain => verifier.to_owned(),
        };
        answer.as_bytes().ct_eq(self.challenge.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_verifier_answers_its_challenge_only() {
        for method in ["s256", "S256"] {
            let challenge = Challenge::parse(CHALLENGE, method).unwrap().unwrap();
            assert!(challenge.is_answered_by(VERIFIER));
            for wrong in ["", CHALLENGE, &VERIFIER[1..], &format!("{VERIFIER} ")] {
                assert!(!challenge.is_answered_by(wrong));
            }
        }
        let plain = Challenge::parse(CHALLENGE, "PLAIN").unwrap().unwrap();
        assert!(plain.is_answered_by(CHALLENGE) && !plain.is_answered_by(VERIFIER));
    }

    #[test]
    fn parameters_are_refused_in_gotrues_words() {
        assert_eq!(Challenge::parse("", ""), Ok(None));
        let long = "a".repeat(129);
        let cases = [
            (
                CHALLENGE,
                "",
                "PKCE flow requires code_challenge_method and code_challenge",
            ),
            (
                "",
                "s256",
                "PKCE flow requires code_challenge_method and code_challenge",
            ),
            (
                "short",
                "s256",
                "code challenge has to be between 43 and 128 characters",
            ),
            (
                &long,
                "s256",
                "code challenge has to be between 43 and 128 characters",
            ),
            (
                &CHALLENGE.replace('h', "+"),
                "s256",
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
            ),
            (
                CHALLENGE,
                "s512",
                "unsupported code_challenge method \"s512\"",
            ),
        ];
        for (challenge, method, words) in cases {
            assert_eq!(
                Challenge::parse(challenge, method).unwrap_err().to_string(),
                words
            );
        }
        assert!(Challenge::parse(&long[..128], "plain").is_ok());
    }
}
