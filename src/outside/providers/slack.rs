//! Slack, by its OAuth of before "Sign in with Slack".

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "slack.com",
    authorize: "/oauth/authorize",
    token: Place::Auth("/api/oauth.access"),
    scopes: &["profile", "email", "openid"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(rename = "https://slack.com/user_id")]
    id: String,
    #[serde(rename = "https://slack.com/team_id")]
    team_id: String,
    email: String,
    email_verified: bool,
    name: String,
    picture: String,
}

/// Here every address counts as verified.
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let mut profile = verified_or_not(visit).await?;
    for email in &mut profile.emails {
        email.verified = true;
    }
    Ok(profile)
}

/// Who signed in, for `slack_oidc` too.
pub(super) async fn verified_or_not(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/api", visit.api());
    let user: User = visit.get(&format!("{api}/openid.connect.userInfo")).await?;
    let claims = Claims::of(api, user.id)
        .named(user.name)
        .pictured(user.picture)
        .with("https://slack.com/team_id", user.team_id);
    Ok(Profile::new(&user.email, user.email_verified, claims))
}
