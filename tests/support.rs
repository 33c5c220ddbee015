//! What tests stand on: a database and an app of their own, a clock they set, the mails that were sent.

pub mod app;
pub mod clock;
pub mod database;
pub mod issuers;
pub mod outbox;
pub mod port;
pub mod provider;
pub mod redact;
pub mod reply;
pub mod routes;
pub mod smtp;
pub mod token;
pub mod wire;

/// A variable of the environment `cargo test` runs in.
#[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
