//! Twitter by OAuth 1.0a; `x` is the same people by OAuth 2.0.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "api.twitter.com",
    request_token: Some("/oauth/request_token"),
    authorize: "/oauth/authenticate",
    token: Place::Auth("/oauth/access_token"),
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id_str: String,
    screen_name: String,
    name: String,
    profile_image_url_https: String,
    email: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let url = format!("{}/1.1/account/verify_credentials.json", visit.api());
    let query = "include_email=true&include_entities=false&skip_status=true";
    let user: User = visit.get(&format!("{url}?{query}")).await?;
    let claims = Claims {
        preferred_username: user.screen_name.clone(),
        user_name: user.screen_name,
        ..Claims::of(url, user.id_str)
            .named(user.name)
            .pictured(user.profile_image_url_https)
    };
    Ok(Profile::new(&user.email, true, claims))
}
