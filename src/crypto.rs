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
