//! The only integration test binary.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has to fail"
)]

mod database {
    mod catalog;
    mod indexes;
    mod migrations;
    mod plans;
    mod rights;
    mod schema;
    mod takeover;
}
mod dev {
    mod binary;
    mod commands;
    mod mail;
    mod private_postgres;
}
mod clients;
mod golden;
mod gotrue;
mod house;
mod janitor;
mod mail;
mod pool;
mod replay;
mod support;
