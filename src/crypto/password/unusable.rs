//! Hashes of passwords that nobody knows, for accounts that somebody else made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Scheme;
use crate::crypto::secrets::{generate, pick};

impl Scheme {
    /// What looks like a hash of this scheme and is random instead: as hard to guess as any, and made at once.
    #[must_use]
    pub fn unusable(self) -> String {
        match self {
            Self::Argon2id {
                memory,
                passes,
                lanes,
            } => {
                let (salt, hash) = (
                    STANDARD_NO_PAD.encode(generate::<16>()),
                    STANDARD_NO_PAD.encode(generate::<32>()),
                );
                format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
            }
            Self::Bcrypt { cost } => {
                const ALPHABET: &[u8; 64] =
                    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
                let text = |length| {
                    (0..length)
                        .map(|_| char::from(pick(ALPHABET)))
                        .collect::<String>()
                };
                // The last characters of salt and hash stand for fewer than six bits: all of them zero here.
                format!("$2a${cost:02}${}.{}.", text(21), text(30))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PasswordHash;
    use super::*;

    #[test]
    fn looks_like_a_hash_and_is_never_the_same() {
        for scheme in [Scheme::ARGON2ID, Scheme::BCRYPT] {
            let hash = scheme.unusable();
            assert_eq!(
                PasswordHash::parse(&hash).unwrap().work(),
                scheme.work(),
                "{hash}"
            );
            assert_ne!(hash, scheme.unusable());
        }
    }
}
