//! GitLab, and one's own GitLab where a URL is configured.

use serde::Deserialize;

use super::{Claims, Email, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "gitlab.com",
    authorize: "/oauth/authorize",
    token: Place::Auth("/oauth/token"),
    scopes: &["read_user"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: i64,
    email: String,
    name: String,
    avatar_url: String,
    confirmed_at: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    email: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/api/v4", visit.api());
    let user: User = visit.get(&format!("{api}/user")).await?;
    let further: Vec<Address> = visit.get(&format!("{api}/user/emails")).await?;
    let claims = Claims::of(visit.api(), user.id.to_string())
        .named(user.name)
        .pictured(user.avatar_url);
    let mut profile = Profile::new(&user.email, !user.confirmed_at.is_empty(), claims);
    // Of further addresses GitLab does not tell whether they are confirmed.
    let further = further
        .into_iter()
        .filter_map(|it| Email::new(it.email, false, false));
    profile.emails.splice(..0, further);
    Ok(profile)
}
