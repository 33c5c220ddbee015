//! Bitbucket Cloud.

use serde::Deserialize;

use super::{Claims, Email, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "bitbucket.org",
    api_host: "api.bitbucket.org",
    authorize: "/site/oauth2/authorize",
    token: Place::Auth("/site/oauth2/access_token"),
    scopes: &["account", "email"],
    more_scopes: false,
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    uuid: String,
    display_name: String,
    avatar: Avatar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Avatar {
    href: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Addresses {
    values: Vec<Address>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    email: String,
    is_primary: bool,
    is_confirmed: bool,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/2.0", visit.api());
    let user: User = visit.get(&format!("{api}/user")).await?;
    let addresses: Addresses = visit.get(&format!("{api}/user/emails")).await?;
    Ok(Profile {
        emails: addresses
            .values
            .into_iter()
            .filter_map(|it| Email::new(it.email, it.is_confirmed, it.is_primary))
            .collect(),
        claims: Claims::of(api, user.uuid)
            .named(user.display_name)
            .pictured(user.avatar.href),
    })
}
