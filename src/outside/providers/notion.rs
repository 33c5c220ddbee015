//! Notion.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "api.notion.com",
    authorize: "/v1/oauth/authorize",
    token: Place::Auth("/v1/oauth/token"),
    more_scopes: false,
    ..Facts::PLAIN
};

/// The version of its API that we speak.
const VERSION: (&str, &str) = ("notion-version", "2021-08-16");

/// The token is a bot's; its owner is the person.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Me {
    bot: Bot,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bot {
    owner: Owner,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    name: String,
    avatar_url: String,
    person: Person,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Person {
    email: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let me: Me = visit
        .get_with(&format!("{}/v1/users/me", visit.api()), &[VERSION])
        .await?;
    let user = me.bot.owner.user;
    let claims = Claims::of(visit.api(), user.id)
        .named(user.name)
        .pictured(user.avatar_url);
    Ok(Profile::new(&user.person.email, true, claims))
}
