//! Vercel's marketplace.

use anyhow::Context as _;

use super::{Facts, Place, Profile, Visit};
use crate::outside::oidc::issuers;

pub const FACTS: Facts = Facts {
    auth_host: "api.vercel.com",
    authorize: "/oauth/v2/authorization",
    token: Place::Auth("/oauth/v2/accessToken"),
    ..Facts::PLAIN
};

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let profile = visit.id_token(issuers::VERCEL_MARKETPLACE).await?;
    profile.context("Vercel gave no ID token")
}
