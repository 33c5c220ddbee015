//! Password hashes: the three families that GoTrue stores, with their limits, and new hashes. All of it is slow work:
//! acts reach it through [`Hasher`](super::hasher::Hasher), which has threads of its own for it.

use std::hint::black_box;

mod argon2;
mod bcrypt;
mod firebase;
mod strength;
mod unusable;

pub use super::hasher::Hasher;
pub use argon2::Memory;
pub use strength::{MAX_LENGTH, Rules, TOO_LONG, Weak, check_strength};

/// How new hashes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// argon2id.
    Argon2id {
        /// KiB, at least 8 per lane.
        memory: u32,
        /// Passes over the memory, at least 1.
        passes: u32,
        /// Parts of the memory that others might fill at the same time; here they come one after the other.
        lanes: u32,
    },
    /// bcrypt with 2^cost rounds, 4 to 15.
    Bcrypt {
        /// The logarithm of the rounds.
        cost: u32,
    },
}

impl Scheme {
    /// OWASP's first recommendation, and ours.
    pub const ARGON2ID: Self = Self::Argon2id {
        memory: 19_456,
        passes: 2,
        lanes: 1,
    };
    /// What GoTrue makes its own hashes with.
    pub const BCRYPT: Self = Self::Bcrypt { cost: 10 };

    /// A new hash of `password`, as text for the database.
    pub fn hash(self, password: &[u8], memory: &mut Memory) -> anyhow::Result<String> {
        #[cfg(test)]
        memory.done.push(self.work());
        match self {
            Self::Argon2id {
                memory: kib,
                passes,
                lanes,
            } => argon2::create(argon2::Cost::id(kib, passes, lanes), password, memory),
            Self::Bcrypt { cost } => Ok(bcrypt::create(cost, password)),
        }
    }

    /// Whether hashes of this scheme could be verified: the limits are those of [`PasswordHash::parse`].
    pub fn check(self) -> Result<(), &'static str> {
        PasswordHash::parse(&self.unusable()).map(drop)
    }

    /// Whether `stored` should be replaced at the next sign-in: another family, or less work than this.
    #[must_use]
    pub fn outdates(self, stored: Work) -> bool {
        match (self.work(), stored) {
            (Work::Argon2(wanted), Work::Argon2(cost)) => !cost.is_at_least(wanted),
            (Work::Bcrypt { cost }, Work::Bcrypt { cost: stored }) => stored < cost,
            _ => true,
        }
    }

    /// What checking such a hash costs.
    #[must_use]
    pub const fn work(self) -> Work {
        match self {
            Self::Argon2id {
                memory,
                passes,
                lanes,
            } => Work::Argon2(argon2::Cost::id(memory, passes, lanes)),
            Self::Bcrypt { cost } => Work::Bcrypt { cost },
        }
    }
}

/// What checking a hash costs: all that its time can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// 2^cost rounds of Blowfish.
    Bcrypt {
        /// The logarithm of the rounds.
        cost: u32,
    },
    /// Argon2.
    Argon2(argon2::Cost),
    /// Firebase's scrypt.
    Scrypt(firebase::Cost),
}

impl Work {
    /// Does this work on `password` for nobody.
    pub fn imitate(self, password: &[u8], memory: &mut Memory) {
        #[cfg(test)]
        memory.done.push(self);
        match self {
            Self::Bcrypt { cost } => {
                black_box(bcrypt::run(cost, [0; 16], password));
            }
            Self::Argon2(cost) => {
                // These parameters were accepted before; an error would only cost less.
                let _ = black_box(argon2::run(cost, password, &[0; 16], &mut [0; 32], memory));
            }
            Self::Scrypt(cost) => {
                black_box(firebase::run(cost, password, &[0; 16]));
            }
        }
    }

    /// About how long it takes on one core of 2025, in microseconds. For putting works in order, not for waiting.
    #[must_use]
    pub const fn weight(self) -> u64 {
        match self {
            Self::Bcrypt { cost } => 54 << cost,
            Self::Argon2(cost) => cost.kib_passes() * 36 / 100,
            Self::Scrypt(cost) => cost.kib() * 15 / 10,
        }
    }
}

/// A stored hash, taken apart.
#[derive(Debug)]
pub struct PasswordHash(Family);

#[derive(Debug)]
enum Family {
    Bcrypt(bcrypt::Hash),
    Argon2(argon2::Hash),
    Firebase(firebase::Hash),
}

impl PasswordHash {
    /// Reads a stored or imported hash by GoTrue's rules (internal/crypto/password.go), which tell the family by its
    /// start. Beyond these, what would take more than some seconds or 1 GiB is refused: a hash is given by others.
    ///
    /// The error says what is wrong, for the administrator who imports it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(Self(if text.starts_with("$argon2") {
            Family::Argon2(argon2::Hash::parse(text)?)
        } else if text.starts_with("$fbscrypt") {
            Family::Firebase(firebase::Hash::parse(text)?)
        } else {
            Family::Bcrypt(bcrypt::Hash::parse(text)?)
        }))
    }

    /// Whether `password` is right. Takes as long for a wrong one.
    #[must_use]
    pub fn verify(&self, password: &[u8], memory: &mut Memory) -> bool {
        #[cfg(test)]
        memory.done.push(self.work());
        match &self.0 {
            Family::Bcrypt(hash) => hash.verify(password),
            Family::Argon2(hash) => hash.verify(password, memory),
            Family::Firebase(hash) => hash.verify(password),
        }
    }

    /// What checking it costs.
    #[must_use]
    pub const fn work(&self) -> Work {
        match &self.0 {
            Family::Bcrypt(hash) => Work::Bcrypt { cost: hash.cost },
            Family::Argon2(hash) => Work::Argon2(hash.cost),
            Family::Firebase(hash) => Work::Scrypt(hash.cost),
        }
    }
}

#[cfg(test)]
mod tests;
