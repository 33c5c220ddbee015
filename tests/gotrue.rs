//! The GoTrue face, route by route, where its recordings do not reach.

mod admin_list;
mod attacks;
mod custom_providers;
mod custom_signin;
mod hostile;
mod hostile_providers;
mod id_token;
mod identities;
mod messages;
mod oidc;
mod phones;
mod providers;
mod races;
mod refresh;
mod roundtrips;
mod sealed;
mod slow_provider;
mod triggers;
