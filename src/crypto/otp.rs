//! One-time codes, and the hash under which they are stored.

use std::time::Duration;

use aws_lc_rs::digest::{SHA224, digest};
use subtle::ConstantTimeEq;

use super::{hex, secrets};
use crate::clock::Timestamp;

/// Stands before the stored hash of a code that was asked for in a PKCE flow.
pub const PKCE_PREFIX: &str = "pkce_";

/// `digits` decimal digits (at most 19), each code equally likely, padded with zeros.
#[must_use]
pub fn generate(digits: u32) -> String {
    let digits = digits.min(19);
    format!(
        "{:0width$}",
        secrets::generate_below(10u64.pow(digits)),
        width = digits as usize
    )
}

/// How a code is stored: hex SHA-224 of the address or number it was sent to, followed by the code.
#[must_use]
pub fn token_hash(contact: &str, code: &str) -> String {
    hex(digest(&SHA224, [contact, code].concat().as_bytes()))
}

/// Whether `given` is the stored hash, with or without the PKCE prefix (internal/api/verify.go, `isOtpValid`): a
/// code typed by hand works in a PKCE flow too. Nothing matches nothing.
#[must_use]
pub fn matches(given: &str, stored: &str) -> bool {
    let bare = stored.strip_prefix(PKCE_PREFIX).unwrap_or(stored);
    let same = given.as_bytes().ct_eq(stored.as_bytes()) | given.as_bytes().ct_eq(bare.as_bytes());
    !given.is_empty() && same.into()
}

/// Is a code that was sent at `sent_at` too old at `now`?
#[must_use]
pub fn is_expired(sent_at: Timestamp, lifetime: Duration, now: Timestamp) -> bool {
    now > sent_at + lifetime
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_digits_with_leading_zeros() {
        for digits in 6..=10 {
            let mut leading_zero = false;
            for _ in 0..200 {
                let code = generate(digits);
                assert_eq!(code.len(), digits as usize);
                assert!(code.bytes().all(|b| b.is_ascii_digit()));
                leading_zero |= code.starts_with('0');
            }
            assert!(leading_zero);
        }
    }

    #[test]
    fn the_hash_is_gotrues() {
        let hash = token_hash("ann@example.com", "123456");
        assert_eq!(
            hash,
            "14430f867bf6cd519848fe112e9b20dfa81c634f830777807737dc24"
        );
    }

    #[test]
    fn comparison_knows_the_prefix() {
        assert!(matches("ab", "ab"));
        assert!(matches("ab", "pkce_ab"));
        assert!(matches("pkce_ab", "pkce_ab"));
        for (given, stored) in [
            ("", ""),
            ("ab", ""),
            ("", "ab"),
            ("", "pkce_"),
            ("pkce_ab", "ab"),
            ("ab", "abc"),
            ("abc", "ab"),
            ("b", "pkce_ab"),
        ] {
            assert!(!matches(given, stored), "{given} {stored}");
        }
    }
}
