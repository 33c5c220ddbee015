//! The world: SMTP, templates, HTTP. Only this module opens sockets.

pub mod captcha;
pub mod email_validation;
mod http;
pub mod mail;
pub mod pwned;
pub mod templates;

pub use http::Http;
