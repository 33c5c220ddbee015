//! Figma.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "www.figma.com",
    api_host: "api.figma.com",
    authorize: "/oauth",
    token: Place::Api("/v1/oauth/token"),
    scopes: &["current_user:read"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    email: String,
    handle: String,
    img_url: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let user: User = visit.get(&format!("{}/v1/me", visit.api())).await?;
    let claims = Claims {
        avatar_url: user.img_url,
        ..Claims::of(visit.api(), user.id).named(user.handle)
    };
    Ok(Profile::new(&user.email, true, claims))
}
