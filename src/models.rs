//! Rows: one file per table, with its queries as methods and its pure questions; and what is stale in any of them. Only models write SQL.
//!
//! `find` reads, `lock` reads FOR UPDATE. GoTrue's tables are named without schema and found through
//! `search_path`. Statements of the hot paths are hand-written (see [`crate::db::statement`]).

pub mod amr_claim;
pub mod audit_log_entry;
pub mod custom_provider;
pub mod factor;
pub mod flow_state;
pub mod identity;
pub mod one_time_token;
pub mod outbox;
pub mod passkey;
pub mod refresh_token;
pub mod session;
pub mod stale;
pub mod user;
