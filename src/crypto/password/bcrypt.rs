//! bcrypt: `$2a$10$` + 22 characters of salt + 31 of hash.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::secrets;

/// Some generators leave the salt's unused last bits set.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// 2^15 rounds take about two seconds; 2^31 would take a day.
const COSTS: std::ops::RangeInclusive<u32> = 4..=15;

#[derive(Debug)]
pub(super) struct Hash {
    pub(super) cost: u32,
    salt: [u8; 16],
    expected: [u8; 23],
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "not a password hash: bcrypt ($2a$), argon2 ($argon2i$, $argon2id$) or $fbscrypt$ is expected";
        // As in Go, the letter is optional and does not matter.
        let rest = text.strip_prefix("$2").ok_or(FORM)?;
        let rest = rest
            .strip_prefix(['a', 'b', 'x', 'y'])
            .unwrap_or(rest)
            .strip_prefix('$')
            .ok_or(FORM)?;
        let (cost, rest) = rest.split_at_checked(2).ok_or(FORM)?;
        let rest = rest
            .strip_prefix('$')
            .filter(|rest| rest.len() == 53)
            .ok_or(FORM)?;
        let (salt, expected) = rest.split_at_checked(22).ok_or(FORM)?;
        if !cost.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(FORM);
        }
        let cost = cost.parse().map_err(|_| FORM)?;
        if !COSTS.contains(&cost) {
            return Err("a bcrypt hash must have a cost of 4 to 15");
        }
        let mut hash = Self {
            cost,
            salt: [0; 16],
            expected: [0; 23],
        };
        BASE64
            .decode_slice(salt, &mut hash.salt)
            .map_err(|_| FORM)?;
        BASE64
            .decode_slice(expected, &mut hash.expected)
            .map_err(|_| FORM)?;
        Ok(hash)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        run(self.cost, self.salt, password)
            .ct_eq(&self.expected)
            .into()
    }
}

/// A new hash, with the letter that GoTrue writes.
pub(super) fn create(cost: u32, password: &[u8]) -> String {
    let cost = cost.clamp(*COSTS.start(), *COSTS.end());
    let salt = secrets::generate();
    let hash = run(cost, salt, password);
    format!(
        "$2a${cost:02}${}{}",
        BASE64.encode(salt),
        BASE64.encode(hash)
    )
}

/// Only the first 72 bytes count. NUL bytes count like others, as in Go.
pub(super) fn run(cost: u32, salt: [u8; 16], password: &[u8]) -> [u8; 23] {
    let mut key = Zeroizing::new([0; 72]);
    key.iter_mut()
        .zip(password)
        .for_each(|(to, from)| *to = *from);
    let length = (password.len() + 1).min(key.len());
    let hash = bcrypt::bcrypt(cost, salt, key.get(..length).unwrap_or_default());
    hash.first_chunk().copied().unwrap_or_default()
}
