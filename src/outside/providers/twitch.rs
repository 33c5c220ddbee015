//! Twitch.

use anyhow::Context as _;
use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "id.twitch.tv",
    api_host: "api.twitch.tv",
    authorize: "/oauth2/authorize",
    token: Place::Auth("/oauth2/token"),
    scopes: &["user:read:email"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Users {
    data: Vec<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    login: String,
    display_name: String,
    r#type: String,
    broadcaster_type: String,
    description: String,
    profile_image_url: String,
    offline_image_url: String,
    view_count: i64,
    email: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let headers = [("client-id", visit.client_id())];
    let users: Users = visit
        .get_with(&format!("{}/helix/users", visit.api()), &headers)
        .await?;
    let user = users
        .data
        .into_iter()
        .next()
        .context("Twitch told of no user")?;
    let claims = Claims {
        nickname: user.display_name.clone(),
        slug: user.display_name,
        ..Claims::of(visit.api(), user.id)
            .named(user.login)
            .pictured(user.profile_image_url)
            .with("broadcaster_type", user.broadcaster_type)
            .with("description", user.description)
            .with("type", user.r#type)
            .with("offline_image_url", user.offline_image_url)
            .with("view_count", user.view_count)
    };
    Ok(Profile::new(&user.email, true, claims))
}
