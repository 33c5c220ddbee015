//! `truegate dev`.

pub mod inbox;
pub mod mail;
pub mod mailbox;
pub mod smtp_sink;
