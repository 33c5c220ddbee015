//! Snapchat.

use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};
use crate::outside::oidc::issuers;
use crate::urls::query::Pairs;

pub const FACTS: Facts = Facts {
    auth_host: "accounts.snapchat.com",
    api_host: "kit.snapchat.com",
    authorize: "/accounts/oauth2/auth",
    token: Place::Auth("/accounts/oauth2/token"),
    scopes: &[
        "https://auth.snapchat.com/oauth2/api/user.external_id",
        "https://auth.snapchat.com/oauth2/api/user.display_name",
        "https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar",
    ],
    ..Facts::PLAIN
};

/// What we ask, in GraphQL.
const QUERY: &str = "{me { externalId displayName bitmoji { avatar id } email } }";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    me: Me,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Me {
    external_id: String,
    display_name: String,
    bitmoji: Bitmoji,
    email: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bitmoji {
    avatar: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let query: Pairs = [("query", QUERY)].into_iter().collect();
    let url = format!("{}/v1/me?{}", visit.api(), query.encode());
    let Me {
        external_id,
        display_name,
        bitmoji,
        email,
    } = visit.get::<Answer>(&url).await?.data.me;
    // Whatever URL is configured.
    let claims = Claims {
        slug: display_name.clone(),
        ..Claims::of(issuers::SNAPCHAT, external_id)
            .named(display_name)
            .pictured(bitmoji.avatar)
    };
    Ok(Profile::new(&email, true, claims))
}
