//! The buckets of all clients in one table of fixed size: a flood of keys costs no memory and no time.
//!
//! A bucket takes 16 bytes: a keyed hash of its client, and the moment at which it is full again; a full bucket needs
//! no place at all. The table is cut into sets of [`WAYS`] places, and a client's set is given by its hash. Where a
//! set has no place left, the bucket that is full again soonest makes room: who is being limited stays limited, and
//! who has hardly asked loses a memory that was not in his favour. There are 65,536 places in 1 MiB.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use super::pace::{Moment, Pace};

/// Places in a set.
const WAYS: usize = 16;
const SETS: usize = 4096;

/// A client's hash, and when its bucket is full again.
type Place = (u64, Moment);

/// The table.
#[derive(Debug)]
pub struct Table {
    sets: Vec<[Place; WAYS]>,
    hasher: RandomState,
}

impl Table {
    /// An empty table; one that will not be used takes no memory, and refuses nobody.
    pub fn new(is_used: bool) -> Self {
        let sets = if is_used { SETS } else { 0 };
        Self {
            sets: vec![[(0, 0); WAYS]; sets],
            hasher: RandomState::new(),
        }
    }

    /// Takes one from a client's bucket, or tells after how long there will be one (none: never).
    pub fn take(
        &mut self,
        client: impl Hash,
        pace: Pace,
        now: Moment,
    ) -> Result<(), Option<Duration>> {
        let hash = self.hasher.hash_one(client);
        let Some((owner, full)) = self.place(hash) else {
            return Ok(());
        };
        if *owner != hash {
            (*owner, *full) = (hash, now);
        }
        pace.take(full, now)
    }

    /// The place of a client, or the one that it may take.
    fn place(&mut self, hash: u64) -> Option<&mut Place> {
        let sets = u64::try_from(self.sets.len()).ok()?;
        let set = self
            .sets
            .get_mut(usize::try_from(hash.checked_rem(sets)?).ok()?)?;
        let own = set.iter().position(|(owner, _)| *owner == hash);
        let soonest = set
            .iter()
            .enumerate()
            .min_by_key(|(_, (_, full))| *full)
            .map(|(at, _)| at);
        set.get_mut(own.or(soonest)?)
    }
}
