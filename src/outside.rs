//! The world: SMTP, text messages, templates, HTTP, hooks. Only this module opens sockets.

pub mod captcha;
mod client;
pub mod email_validation;
pub mod guard;
pub mod hooks;
pub mod mail;
pub mod oidc;
pub mod providers;
pub mod pwned;
pub mod sms;
pub mod templates;

pub use client::{Http, Manners, read};
