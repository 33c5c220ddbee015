//! X by OAuth 2.0; `twitter` is the same people by OAuth 1.0a.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "x.com",
    api_host: "api.x.com",
    authorize: "/i/oauth2/authorize",
    token: Place::Api("/2/oauth2/token"),
    // `tweet.read` is needed to ask who somebody is, `offline.access` for a refresh token.
    scopes: &["users.email", "tweet.read", "users.read", "offline.access"],
    pkce: true,
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    data: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    name: String,
    username: String,
    confirmed_email: String,
    profile_image_url: String,
    url: String,
    created_at: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let fields = "id,name,username,confirmed_email,profile_image_url,url,created_at";
    let url = format!("{}/2/users/me?user.fields={fields}", visit.api());
    let user = visit.get::<Answer>(&url).await?.data;
    let claims = Claims {
        profile: format!("https://x.com/{}", user.username),
        website: user.url,
        preferred_username: user.username.clone(),
        user_name: user.username,
        ..Claims::of(visit.api(), user.id)
            .named(user.name)
            .pictured(user.profile_image_url)
            .with("created_at", user.created_at)
    };
    Ok(Profile::new(&user.confirmed_email, true, claims))
}
