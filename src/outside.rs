//! The world: SMTP, templates, HTTP. Only this module opens sockets.

pub mod captcha;
pub mod email_validation;
pub mod http;
pub mod mail;
pub mod pwned;
pub mod templates;
