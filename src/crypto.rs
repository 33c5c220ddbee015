//! Pure: hashes, tokens, keys. No clock and no I/O: the same input gives the same output, save for the
//! functions named `generate` (they ask the machine for random bytes) and [`hasher`] (it owns threads).

pub mod hasher;
pub mod jwt;
pub mod keys;
pub mod otp;
pub mod password;
pub mod pkce;
pub mod refresh_token;
pub mod sealed;
pub mod secrets;
pub mod webhook;

/// `bytes` in hexadecimal digits, in lower case.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
        }
    }
    hex
}
