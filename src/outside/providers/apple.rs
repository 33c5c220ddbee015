//! Apple. It posts its answer, and tells the name only once: beside the code, when somebody signs in for the first time.

use serde::Deserialize;

use super::profile::full_name;
use super::visit::decode;
use super::{ClientAuth, Facts, Profile, Visit};
use crate::outside::oidc::issuers;

pub const FACTS: Facts = Facts {
    issuer: Some(issuers::APPLE),
    scopes: &["email", "name"],
    more_scopes: false,
    form_post: true,
    client_auth: ClientAuth::BodyTwice,
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    name: Name,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Name {
    first_name: String,
    last_name: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let mut profile = visit.id_token(issuers::APPLE).await?.unwrap_or_default();
    if !visit.user.is_empty() {
        let user: User = decode(serde_json::from_str(visit.user)?)?;
        let name = full_name(&user.name.first_name, &user.name.last_name);
        profile.claims = profile.claims.named(name);
    }
    Ok(profile)
}
