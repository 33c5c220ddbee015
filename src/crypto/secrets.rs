//! Random values that nobody may guess.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Bytes of the machine's randomness.
///
/// # Panics
///
/// When the machine has none: nothing can be made safely then.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "without randomness there is no secret to hand out"
)]
pub fn generate<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).expect("the machine has random bytes");
    bytes
}

/// `BYTES` random bytes as base64url text.
#[must_use]
pub fn generate_text<const BYTES: usize>() -> String {
    URL_SAFE_NO_PAD.encode(generate::<BYTES>())
}

/// `LENGTH` characters of `a-z2-7`, five random bits each: GoTrue's `SecureAlphanumeric`.
#[must_use]
pub fn generate_alphanumeric<const LENGTH: usize>() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // 32 divides 256: each character is equally likely.
    generate::<LENGTH>()
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
        .map(|character| char::from(*character))
        .collect()
}

/// A number below `bound`, each equally likely. 0 for a bound of 0.
#[must_use]
pub fn generate_below(bound: u64) -> u64 {
    // Numbers from the last, incomplete run of `bound` would favour its start.
    let cut = u64::MAX - u64::MAX.checked_rem(bound).unwrap_or_default();
    loop {
        let number = u64::from_le_bytes(generate());
        if number < cut {
            return number.checked_rem(bound).unwrap_or_default();
        }
    }
}

/// What stands for a contact of a soft-deleted user: nobody can tell what it was (GoTrue's `obfuscateValue`).
#[must_use]
pub fn obfuscate(id: Uuid, value: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{id}{value}").as_bytes()))
}

/// One of `from`, each equally likely.
pub(super) fn pick<T: Copy + Default>(from: &[T]) -> T {
    let index = usize::try_from(generate_below(from.len() as u64)).unwrap_or_default();
    from.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_alphabet() {
        assert_eq!(generate_text::<32>().len(), 43);
        let token = generate_alphanumeric::<12>();
        assert_eq!(token.len(), 12);
        assert!(
            token
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
        );
        assert_ne!(token, generate_alphanumeric::<12>());
    }

    #[test]
    fn every_number_below_the_bound_comes() {
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(generate_below(10)).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
        assert_eq!((generate_below(1), generate_below(0)), (0, 0));
    }
}
