//! What faces share of HTTP.

pub mod body;
pub mod json;
pub mod reply;
pub mod request_id;
