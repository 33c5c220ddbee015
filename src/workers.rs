//! What runs beside requests.
pub mod outbox;
