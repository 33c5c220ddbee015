//! Bearer tokens that have been verified before: the same token comes with every request of an hour.
//!
//! Only what the token itself says is remembered. Whether its session lives is asked of the database every time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::BearerClaims;

/// Tokens of one generation; there are two. About 4 MiB in all at most.
const GENERATION: usize = 4096;

/// The SHA-256 of a token: what is remembered is of no use to whoever reads our memory.
pub(super) type Digest = [u8; SHA256_OUTPUT_LEN];

pub(super) fn digest_of(token: &str) -> Digest {
    let digest = digest(&SHA256, token.as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The claims of verified tokens, of those used last.
#[derive(Default)]
pub(in crate::crypto) struct Verified(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Arc<BearerClaims>>,
    old: HashMap<Digest, Arc<BearerClaims>>,
}

impl Verified {
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<BearerClaims>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = generations.young.get(digest) {
            return Some(Arc::clone(claims));
        }
        let claims = generations.old.remove(digest)?;
        generations.insert(*digest, &claims);
        Some(claims)
    }

    pub(super) fn remember(&self, digest: Digest, claims: &Arc<BearerClaims>) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(digest, claims);
    }
}

impl Generations {
    /// What was not used for a whole generation is forgotten.
    fn insert(&mut self, digest: Digest, claims: &Arc<BearerClaims>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, Arc::clone(claims));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_and_no_more_than_two_generations() {
        let verified = Verified::default();
        let claims = Arc::new(BearerClaims::default());
        let numbers = 0..3 * GENERATION;
        let in_use = digest_of("in use");
        verified.remember(in_use, &claims);
        for number in numbers.clone() {
            verified.remember(digest_of(&number.to_string()), &claims);
            assert!(verified.get(&in_use).is_some());
        }
        let known = numbers
            .filter(|number| verified.get(&digest_of(&number.to_string())).is_some())
            .count();
        assert!((GENERATION..2 * GENERATION).contains(&known), "{known}");
        assert!(verified.get(&digest_of("another")).is_none());
    }
}
