//! The forms of a refresh token: a random text that the database stores, or a signed session id and counter.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::secrets;

/// What a caller gave as a refresh token, by its shape alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshToken<'a> {
    /// Stored in clear in `refresh_tokens.token`: 12 characters, or the 22 that GoTrue made up to v2.170.
    Stored(&'a str),
    /// GoTrue's version 2: nothing stored but the session's key and counter.
    Signed(SignedToken),
}

impl<'a> RefreshToken<'a> {
    /// Reads a refresh token; `None` when no server can have made it.
    #[must_use]
    pub fn parse(token: &'a str) -> Option<Self> {
        let stored = match token.len() {
            12 => token
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            22 => token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            _ => return SignedToken::parse(token).map(Self::Signed),
        };
        stored.then_some(Self::Stored(token))
    }

    /// A new token to store, as GoTrue makes them: 12 characters of `a-z2-7`.
    #[must_use]
    pub fn generate() -> String {
        secrets::generate_alphanumeric::<12>()
    }
}

/// `0x00 | session id (16) | uvarint counter (1 to 9) | HMAC-SHA256(key, all before)[..16] | SHA256(all before)[..4]`
/// (`internal/crypto/refresh_tokens.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    /// The session it belongs to.
    pub session_id: Uuid,
    /// Which of the session's tokens it is, from 0.
    pub counter: i64,
    tag: [u8; TAG],
}

const TAG: usize = 16;
const CHECKSUM: usize = 4;
/// Of the bytes: version, id, the longest counter, tag, checksum.
const LONGEST: usize = 1 + 16 + 9 + TAG + CHECKSUM;

impl SignedToken {
    /// Makes the token of `counter`.
    #[must_use]
    pub fn sign(session_id: Uuid, counter: i64, key: &RefreshKey) -> Self {
        Self {
            session_id,
            counter,
            tag: key.tag(session_id, counter),
        }
    }

    /// Whether `key` signed it. Takes the same time for every wrong tag.
    #[must_use]
    pub fn is_signed_by(&self, key: &RefreshKey) -> bool {
        key.tag(self.session_id, self.counter)
            .ct_eq(&self.tag)
            .into()
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        message(self.session_id, self.counter)
    }

    /// The signature, shortened.
    #[must_use]
    pub fn tag(&self) -> &[u8; TAG] {
        &self.tag
    }

    /// The text that the client keeps.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = self.message();
        bytes.extend(self.tag);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend(checksum.as_ref().iter().take(CHECKSUM));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(token: &str) -> Option<Self> {
        let mut buffer = [0; LONGEST + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut buffer).ok()?;
        let (body, checksum) = buffer.get(..length)?.split_last_chunk::<CHECKSUM>()?;
        if !digest(&SHA256, body).as_ref().starts_with(checksum) {
            return None;
        }
        let (message, tag) = body.split_last_chunk::<TAG>()?;
        let ([0], rest) = message.split_first_chunk()? else {
            return None;
        };
        let (session_id, counter) = rest.split_first_chunk::<16>()?;
        let counter = read_uvarint(counter)?;
        Some(Self {
            session_id: Uuid::from_bytes(*session_id),
            counter,
            tag: *tag,
        })
    }
}

/// What is signed.
fn message(session_id: Uuid, counter: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LONGEST);
    bytes.push(0);
    bytes.extend(session_id.as_bytes());
    let mut rest = counter.max(0).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

/// Exactly one number in Go's uvarint, in its shortest form.
fn read_uvarint(bytes: &[u8]) -> Option<i64> {
    let (last, leading) = bytes.split_last()?;
    let shortest = leading.is_empty() || *last != 0;
    if bytes.len() > 9 || *last >= 0x80 || !shortest || leading.iter().any(|byte| *byte < 0x80) {
        return None;
    }
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 7 | i64::from(byte & 0x7f)),
    )
}

/// The key of one session's tokens (`sessions.refresh_token_hmac_key`).
pub struct RefreshKey(hmac::Key);

impl RefreshKey {
    /// A new key, and its text for the database: 32 bytes as base64url.
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<String>) {
        let bytes = Zeroizing::new(secrets::generate::<32>());
        (
            Self(hmac::Key::new(hmac::HMAC_SHA256, &*bytes)),
            Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)),
        )
    }

    /// Reads the text of the database.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn tag(&self, session_id: Uuid, counter: i64) -> [u8; TAG] {
        let tag = hmac::sign(&self.0, &message(session_id, counter));
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// Whether `SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE` moves this session from stored to signed tokens. The same
/// sessions as GoTrue picks: `math/rand`, seeded with the CRC-32 of the id, `Intn(100) < percentage`.
#[must_use]
pub fn upgrades(session_id: Uuid, percentage: u8) -> bool {
    go_intn_100(crc32(session_id.as_bytes())) < percentage.into()
}

/// The first `rand.New(rand.NewSource(seed)).Intn(100)`. Of Go's 607 numbers of state the first draw adds two.
/// (Go draws again for 48 of 2^31 values; for these one or two sessions in 10^8 may be picked otherwise.)
fn go_intn_100(seed: u32) -> u64 {
    const FEED: (u32, u64) = (333, 0xbfb2_f4d9_68b7_59c3);
    const TAP: (u32, u64) = (606, 0x39a0_0a3a_31c0_25c6);
    let state = |(index, cooked): (u32, u64)| {
        let mut number = lehmer(seed, 20 + 3 * index);
        let mut mixed = 0;
        for shift in [40, 20, 0] {
            number = number * 48271 % 0x7fff_ffff;
            mixed ^= number << shift;
        }
        mixed ^ cooked
    };
    let first = state(FEED).wrapping_add(state(TAP));
    ((first & (u64::MAX >> 1)) >> 32) % 100
}

/// Go's `seedrand`, `steps` times: 48271^steps * seed modulo 2^31 - 1.
fn lehmer(seed: u32, steps: u32) -> u64 {
    let seed = match u64::from(seed) % 0x7fff_ffff {
        0 => 89_482_311,
        seed => seed,
    };
    (0..steps).fold(seed, |number, _| number * 48271 % 0x7fff_ffff)
}

/// CRC-32 of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests;
