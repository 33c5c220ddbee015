//! `/admin`: for holders of an admin token.

pub mod audit;
pub mod custom_providers;
pub mod factors;
pub mod generate_link;
mod pages;
pub mod subject;
pub mod users;
