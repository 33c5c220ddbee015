//! Replays the recorded conversations of `tests/golden` and compares each answer with the recorded one.
//!
//! Differences that are welcome anywhere: a clear 4xx where GoTrue answered 5xx, `retry-after` and `etag` where
//! it sends none, our own words in default mails. Every other knowing difference has a name and a reason in
//! `tests/golden/deviations.json`.

mod cipher;
mod documents;
pub mod expect;
pub mod lies;
mod placeholders;
pub mod process;
pub mod scenario;
pub mod server;
mod sources;
pub mod specs;
pub mod standin;
mod steps;
mod webhooks;

pub use steps::{Failure, replay};
