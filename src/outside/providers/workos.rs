//! WorkOS.

use serde::Deserialize;

use super::profile::full_name;
use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "api.workos.com",
    authorize: "/sso/authorize",
    token: Place::Auth("/sso/token"),
    more_scopes: false,
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    connection_id: String,
    organization_id: String,
    email: String,
    first_name: String,
    last_name: String,
}

/// WorkOS tells who it is together with the token.
#[expect(clippy::unused_async, reason = "all others ask")]
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let user: User = visit.told("profile")?;
    let claims = Claims::of(visit.api(), user.id)
        .named(full_name(&user.first_name, &user.last_name))
        .with("connection_id", user.connection_id)
        .with("organization_id", user.organization_id);
    Ok(Profile::new(&user.email, true, claims))
}
