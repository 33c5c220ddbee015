//! What faces share of HTTP.

pub mod body;
pub mod client_ip;
pub mod json;
pub mod limits;
pub mod redirect;
pub mod reply;
pub mod request_id;
