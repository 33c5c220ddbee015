//! GoTrue's API.

pub mod door;
