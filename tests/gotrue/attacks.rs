//! Attacks that must fail, each test named after its number; what a pure module can show is tested beside it.

mod anonymous;
mod links;
mod passwords;
mod perimeter;
mod planted;
mod providers;
mod sessions;
