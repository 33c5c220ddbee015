//! Google.

use serde::Deserialize;

use super::{Claims, Facts, Profile, Visit};
use crate::outside::oidc::issuers;

pub const FACTS: Facts = Facts {
    issuer: Some(issuers::GOOGLE),
    scopes: &["email", "profile"],
    ..Facts::PLAIN
};

/// Asked where there is no ID token.
const USERINFO: &str = "https://www.googleapis.com/userinfo/v2/me";

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    name: String,
    picture: String,
    email: String,
    verified_email: bool,
    email_verified: bool,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    if let Some(profile) = visit.id_token(issuers::GOOGLE).await? {
        return Ok(profile);
    }
    let user: User = visit.get(USERINFO).await?;
    let claims = Claims::of(USERINFO, user.id)
        .named(user.name)
        .pictured(user.picture);
    let verified = user.verified_email || user.email_verified;
    Ok(Profile::new(&user.email, verified, claims))
}
