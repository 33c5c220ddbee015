//! Decisions: one file per thing a person wants.

pub mod redirect;
