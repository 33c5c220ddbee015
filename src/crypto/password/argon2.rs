//! Argon2 in PHC form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

#[cfg(test)]
use super::Work;
use crate::crypto::secrets;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

// GoTrue's limits, and 4 GiB written in all: some seconds.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 20;
const MOST_LANES: u32 = 16;
const MOST_KIB_PASSES: u64 = 4 << 20;

/// In KiB; memory for more is taken for one hash alone, and by one thread at a time.
const MOST_KEPT: u32 = 64 << 10;
static LARGE: Mutex<()> = Mutex::new(());

/// The memory that Argon2 fills, kept from one hash to the next by each hashing thread.
#[derive(Default)]
pub struct Memory {
    blocks: Vec<Block>,
    /// Since they were wiped.
    used: bool,
    /// What was done with it, for tests that count.
    #[cfg(test)]
    pub(in crate::crypto) done: Vec<Work>,
}

impl Memory {
    fn blocks(&mut self, kib: usize) -> &mut [Block] {
        if self.blocks.is_empty() {
            // Room for the largest at once: what is not written to costs nothing. glibc gives back to the system what is
            // over 32 MiB; less it keeps, and cuts up so that the next has to be taken from the system again.
            self.blocks.reserve_exact(MOST_KEPT as usize);
        }
        if self.blocks.len() < kib {
            self.blocks.resize(kib, Block::new());
        }
        self.used = true;
        self.blocks.get_mut(..kib).unwrap_or_default()
    }

    /// Overwrites what the last hash left behind.
    pub fn wipe(&mut self) {
        // A vector's own `zeroize` would empty it, and write to all of its room.
        self.blocks.iter_mut().zeroize();
        self.used = false;
    }

    /// Whether no hash has left anything behind.
    #[must_use]
    pub const fn is_wiped(&self) -> bool {
        !self.used
    }

    /// Gives it back to the system.
    pub fn give_back(&mut self) {
        self.blocks = Vec::new();
        self.used = false;
    }

    /// Whether there is nothing to give back.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// What Argon2 is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    hybrid: bool,
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// argon2id.
    pub(super) const fn id(memory: u32, passes: u32, lanes: u32) -> Self {
        Self {
            hybrid: true,
            memory,
            passes,
            lanes,
        }
    }

    pub(super) const fn kib_passes(self) -> u64 {
        self.memory as u64 * self.passes as u64
    }

    pub(super) const fn is_at_least(self, wanted: Self) -> bool {
        self.hybrid && self.kib_passes() >= wanted.kib_passes()
    }
}

#[derive(Debug)]
pub(super) struct Hash {
    pub(super) cost: Cost,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an argon2 hash must look like $argon2id$v=19$m=19456,t=2,p=1$salt$hash, salt and hash in unpadded base64";
        let mut parts = text.split('$').skip(1);
        let mut part = || parts.next().ok_or(FORM);
        let (algorithm, version, parameters, salt, expected) =
            (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(FORM);
        }
        let hybrid = match algorithm {
            "argon2id" => true,
            "argon2i" => false,
            "argon2d" => return Err("argon2d is not supported, only argon2i and argon2id"),
            _ => return Err(FORM),
        };
        if version != "v=19" {
            return Err("only version 19 of argon2 is supported");
        }
        let mut parameters = parameters.split(',');
        let mut number = |name: &str, most: u32| {
            let digits = parameters
                .next()
                .and_then(|parameter| parameter.strip_prefix(name))
                .ok_or(FORM)?;
            if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(FORM);
            }
            let number = digits
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number));
            number.ok_or(
                "an argon2 hash must have m of at most 1048576, t of 1 to 20 and p of 1 to 16",
            )
        };
        let cost = Cost {
            hybrid,
            memory: number("m=", MOST_MEMORY)?,
            passes: number("t=", MOST_PASSES)?,
            lanes: number("p=", MOST_LANES)?,
        };
        if parameters.next().is_some() {
            return Err("argon2 hashes with keyid or data are not supported");
        }
        if cost.kib_passes() > MOST_KIB_PASSES {
            return Err("an argon2 hash must have m times t of at most 4194304");
        }
        if cost.memory < 8 * cost.lanes {
            return Err("an argon2 hash must have m of at least 8 times p");
        }
        let salt = BASE64.decode(salt).map_err(|_| FORM)?;
        let expected = BASE64.decode(expected).map_err(|_| FORM)?;
        if !(8..=64).contains(&salt.len()) || !(4..=128).contains(&expected.len()) {
            return Err(
                "an argon2 hash must have a salt of 8 to 64 bytes and a hash of 4 to 128 bytes",
            );
        }
        Ok(Self {
            cost,
            salt,
            expected,
        })
    }

    pub(super) fn verify(&self, password: &[u8], memory: &mut Memory) -> bool {
        let mut computed = vec![0; self.expected.len()];
        let done = run(self.cost, password, &self.salt, &mut computed, memory).is_ok();
        done && bool::from(computed.ct_eq(&self.expected))
    }
}

/// A new hash with a salt of 16 bytes, 32 bytes long.
pub(super) fn create(cost: Cost, password: &[u8], memory: &mut Memory) -> anyhow::Result<String> {
    let salt = secrets::generate::<16>();
    let mut hash = [0; 32];
    run(cost, password, &salt, &mut hash, memory)
        .map_err(|error| anyhow::anyhow!("argon2: {error}"))?;
    let Cost {
        memory,
        passes,
        lanes,
        ..
    } = cost;
    Ok(format!(
        "$argon2id$v=19$m={memory},t={passes},p={lanes}${}${}",
        BASE64.encode(salt),
        BASE64.encode(hash)
    ))
}

pub(super) fn run(
    cost: Cost,
    password: &[u8],
    salt: &[u8],
    out: &mut [u8],
    memory: &mut Memory,
) -> argon2::Result<()> {
    let algorithm = if cost.hybrid {
        Algorithm::Argon2id
    } else {
        Algorithm::Argon2i
    };
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(out.len()))?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    if cost.memory <= MOST_KEPT {
        return argon2.hash_password_into_with_memory(
            password,
            salt,
            out,
            memory.blocks(argon2.params().block_count()),
        );
    }
    let _alone = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    memory.give_back();
    argon2.hash_password_into(password, salt, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiped_memory_is_blank_and_kept_until_it_is_given_back() {
        let mut memory = Memory::default();
        for kib in [8, 64, 8] {
            run(
                Cost::id(kib, 1, 1),
                b"a",
                &[0; 16],
                &mut [0; 32],
                &mut memory,
            )
            .unwrap();
        }
        let is_blank = |block: &Block| block.as_ref().iter().all(|word| *word == 0);
        assert_eq!(memory.blocks.len(), 64);
        assert!(!memory.blocks.iter().all(is_blank));
        assert!(!memory.is_wiped());
        memory.wipe();
        assert!(memory.is_wiped() && !memory.is_empty());
        assert!(memory.blocks.iter().all(is_blank));
        assert_eq!(memory.blocks.len(), 64, "no more than was used");
        memory.give_back();
        assert!(memory.is_empty());
        assert_eq!(memory.blocks.capacity(), 0);
    }
}
