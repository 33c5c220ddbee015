//! Fly.io.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "api.fly.io",
    authorize: "/oauth/authorize",
    token: Place::Auth("/oauth/token"),
    scopes: &["read"],
    ..Facts::PLAIN
};

/// What Fly says of a token. Lists that it leaves out are null in the stored claims.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    resource_owner_id: String,
    user_id: String,
    user_name: String,
    email: String,
    organizations: Option<Vec<Organization>>,
    scope: Option<Vec<String>>,
    application: Option<BTreeMap<String, String>>,
    created_at: i64,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Organization {
    id: String,
    role: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let info: Info = visit
        .get(&format!("{}/oauth/token/info", visit.api()))
        .await?;
    let claims = Claims {
        full_name: info.user_name,
        ..Claims::of(visit.api(), info.user_id)
            .with("resource_owner_id", info.resource_owner_id)
            .with("organizations", json!(info.organizations))
            .with("application", json!(info.application))
            .with("scope", info.scope)
            .with("created_at", info.created_at)
    };
    Ok(Profile::new(&info.email, true, claims))
}
