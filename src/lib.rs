//! Truegate: one auth core with several faces. The modules, in the order of the layers
//! (imports point down, never up; `tests/house.rs` checks it):

pub mod cli; // serve | dev | migrate | admin ...: what people type
pub mod dev; // `truegate dev`: private Postgres, SMTP sink, inbox page, Swagger UI
pub mod server; // hyper + tower: listeners, shared layers in order, graceful shutdown
pub mod workers; // what runs beside requests: mails, hashes, templates, indexes, janitor

pub mod faces; // wire formats, one folder per API; nothing here decides anything
pub mod web; // what faces share of HTTP: bodies, CORS, client address, limits

pub mod auth; // decisions: one file per thing a person wants

pub mod models; // rows: one file per table, and its queries

pub mod outside; // the world: mail, text messages, providers, issuers, hooks; the one HTTP client

pub mod crypto; // pure: hashes, tokens, keys, encryption at rest

pub mod db; // Postgres: pool, migrations, schema

pub mod app; // what is wired once
pub mod clock;
pub mod config; // every setting, one struct per concern
pub mod error;
pub mod json; // pure: JSON as Go writes it
pub mod urls; // pure: URLs as Go parses and prints them
