//! Firebase's scrypt: `$fbscrypt$v=1,n=14,r=8,p=1,ss=..,sk=..$salt$hash`, all in padded base64. The key that scrypt
//! gives encrypts the project's signer key, and that is the hash.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scrypt::{Params, scrypt};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

// Some seconds of work, 64 MiB at a time. Firebase itself takes 16 MiB, once.
const MOST_KIB: u64 = 64 << 10;
const MOST_KIB_IN_ALL: u64 = 1 << 20;

/// What scrypt is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Cost {
    /// How much memory is written, in KiB: 128 * N * r, p times.
    pub(super) const fn kib(self) -> u64 {
        (1 << self.log_n) * self.r as u64 * self.p as u64 / 8
    }
}

#[derive(Debug)]
pub(super) struct Hash {
    pub(super) cost: Cost,
    /// The salt and the salt separator.
    salt: Vec<u8>,
    signer_key: Vec<u8>,
    expected: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a Firebase hash must look like $fbscrypt$v=1,n=14,r=8,p=1,ss=separator,sk=signer key$salt$hash, in base64";
        const SIZE: &str = "a Firebase hash must have n of 1 to 20, r and p of at least 1, and take at most 64 MiB and 1 GiB in all";
        let mut parts = text.split('$').skip(2);
        let (Some(parameters), Some(salt), Some(expected), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(FORM);
        };
        let mut parameters = parameters.split(',').peekable();
        let mut number = |name: &str| {
            let digits = parameters
                .next()
                .and_then(|parameter| parameter.strip_prefix(name))
                .ok_or(FORM)?;
            if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(FORM);
            }
            digits.parse::<u32>().map_err(|_| SIZE)
        };
        if number("v=")? != 1 {
            return Err("only version 1 of Firebase's hashes is supported");
        }
        let (n, r, p) = (number("n=")?, number("r=")?, number("p=")?);
        let mut optional = |name: &str| {
            parameters
                .next_if(|parameter| parameter.starts_with(name))
                .and_then(|parameter| parameter.strip_prefix(name))
        };
        let separator = optional("ss=").unwrap_or_default();
        let signer_key = optional("sk=").unwrap_or_default();
        if parameters.next().is_some() || salt.is_empty() || expected.is_empty() {
            return Err(FORM);
        }
        let log_n = u8::try_from(n)
            .ok()
            .filter(|n| (1..=20).contains(n))
            .ok_or(SIZE)?;
        if !(1..=1 << 16).contains(&r) || !(1..=255).contains(&p) {
            return Err(SIZE);
        }
        let cost = Cost { log_n, r, p };
        if (Cost { p: 1, ..cost }).kib() > MOST_KIB || cost.kib() > MOST_KIB_IN_ALL {
            return Err(SIZE);
        }
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| FORM);
        let salt = [decode(salt)?, decode(separator)?].concat();
        Ok(Self {
            cost,
            salt,
            signer_key: decode(signer_key)?,
            expected: decode(expected)?,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let computed =
            run(self.cost, password, &self.salt).and_then(|key| encrypt(&key, &self.signer_key));
        computed.is_some_and(|computed| computed.ct_eq(&self.expected).into())
    }
}

pub(super) fn run(cost: Cost, password: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    scrypt(
        password,
        salt,
        &Params::new(cost.log_n, cost.r, cost.p).ok()?,
        &mut *key,
    )
    .ok()?;
    Some(key)
}

/// AES-256-CTR from a zero block: Firebase fixes it, and each key encrypts one thing.
fn encrypt(key: &[u8; 32], text: &[u8]) -> Option<Vec<u8>> {
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let mut text = text.to_vec();
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128([0; 16].into()))
        .ok()?;
    Some(text)
}
