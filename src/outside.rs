//! The world: SMTP, templates, HTTP. Only this module opens sockets.

pub mod captcha;
pub mod http;
pub mod pwned;
pub mod templates;
