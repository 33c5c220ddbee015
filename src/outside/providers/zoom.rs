//! Zoom.

use serde::Deserialize;

use super::profile::full_name;
use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "zoom.us",
    api_host: "api.zoom.us",
    authorize: "/oauth/authorize",
    token: Place::Auth("/oauth/token"),
    more_scopes: false,
    ..Facts::PLAIN
};

/// The `login_type` of people with a password at Zoom.
const BY_EMAIL: &str = "100";

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    first_name: String,
    last_name: String,
    email: String,
    verified: i64,
    login_type: String,
    pic_url: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/v2", visit.api());
    let user: User = visit.get(&format!("{api}/users/me")).await?;
    // Only people with a password are asked to confirm their address; who came by another provider is not.
    let verified = user.login_type != BY_EMAIL || user.verified != 0;
    let claims = Claims::of(api, user.id)
        .named(full_name(&user.first_name, &user.last_name))
        .pictured(user.pic_url);
    Ok(Profile::new(&user.email, verified, claims))
}
