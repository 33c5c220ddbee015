//! What faces share of HTTP.

pub mod reply;
pub mod request_id;
