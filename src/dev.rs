//! `truegate dev`.

pub mod data;
pub mod inbox;
pub mod mail;
pub mod mailbox;
pub mod ports;
pub mod screen;
pub mod smtp_sink;
pub mod swagger;
