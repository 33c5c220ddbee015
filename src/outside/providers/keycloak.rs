//! Keycloak: a realm of somebody's own server, so its URL has to be configured.

use serde_json::{Map, Value};

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    authorize: "/protocol/openid-connect/auth",
    token: Place::Auth("/protocol/openid-connect/token"),
    scopes: &["profile", "email"],
    ..Facts::PLAIN
};

/// What Keycloak says beyond name and address is kept as it is, null too.
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let url = format!("{}/protocol/openid-connect/userinfo", visit.api());
    let mut claims: Map<String, Value> = visit.raw(&url).await?;
    let mut text = |name| match claims.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (sub, name, email) = (text("sub"), text("name"), text("email"));
    let verified = claims.remove("email_verified") == Some(Value::Bool(true));
    let claims = Claims {
        custom_claims: Some(claims),
        ..Claims::of(visit.api(), sub).named(name)
    };
    Ok(Profile::new(&email, verified, claims))
}
