//! LinkedIn by OpenID Connect.

use super::{Facts, Place, Profile, Visit};
use crate::outside::oidc::issuers;

pub const FACTS: Facts = Facts {
    auth_host: "api.linkedin.com",
    authorize: "/oauth/v2/authorization",
    token: Place::Auth("/oauth/v2/accessToken"),
    scopes: &["openid", "email", "profile"],
    ..Facts::PLAIN
};

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    Ok(visit.id_token(issuers::LINKEDIN).await?.unwrap_or_default())
}
