//! What faces share of HTTP.

pub mod body;
pub mod client_ip;
pub mod cors;
pub mod document;
pub mod external_url;
pub mod json;
pub mod limits;
pub mod query;
pub mod redirect;
pub mod reply;
pub mod request_id;
