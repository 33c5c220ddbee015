//! GitHub, and GitHub Enterprise where a URL is configured.

use serde::Deserialize;

use super::{Claims, Email, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "github.com",
    api_host: "api.github.com",
    authorize: "/login/oauth/authorize",
    token: Place::Auth("/login/oauth/access_token"),
    scopes: &["user:email"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: i64,
    login: String,
    name: String,
    avatar_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let mut api = visit.api().to_owned();
    if !api.ends_with(FACTS.api_host) {
        api.push_str("/api/v3");
    }
    let user: User = visit.get(&format!("{api}/user")).await?;
    let addresses: Vec<Address> = visit.get(&format!("{api}/user/emails")).await?;
    let id = user.id.to_string();
    Ok(Profile {
        emails: addresses
            .into_iter()
            .filter_map(|it| Email::new(it.email, it.verified, it.primary))
            .collect(),
        claims: Claims {
            preferred_username: user.login.clone(),
            user_name: user.login,
            avatar_url: user.avatar_url,
            ..Claims::of(api, id).named(user.name)
        },
    })
}
