//! Spotify.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "accounts.spotify.com",
    api_host: "api.spotify.com/v1",
    authorize: "/authorize",
    token: Place::Auth("/api/token"),
    scopes: &["user-read-email"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    display_name: String,
    email: String,
    images: Vec<Image>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Image {
    url: String,
    height: i64,
    width: i64,
}

/// Spotify does not tell whether an address is verified.
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let user: User = visit.get(&format!("{}/me", visit.api())).await?;
    // From the end: of several that are the largest, `max_by_key` takes the last, and we the first.
    let size = |image: &&Image| image.height.saturating_mul(image.width);
    let largest = user.images.iter().rev().max_by_key(size);
    let claims = Claims::of(visit.api(), user.id)
        .named(user.display_name)
        .pictured(largest.map_or("", |image| &image.url));
    Ok(Profile::new(&user.email, false, claims))
}
