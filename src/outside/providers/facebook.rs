//! Facebook.

use aws_lc_rs::hmac;
use serde::Deserialize;

use super::profile::full_name;
use super::{Claims, Facts, Place, Profile, Visit};
use crate::crypto::hex;

pub const FACTS: Facts = Facts {
    auth_host: "www.facebook.com",
    api_host: "graph.facebook.com",
    authorize: "/dialog/oauth",
    token: Place::Api("/oauth/access_token"),
    scopes: &["email"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    email: String,
    first_name: String,
    last_name: String,
    name: String,
    picture: Picture,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Picture {
    data: PictureData,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PictureData {
    url: String,
}

/// Facebook tells only addresses that are confirmed.
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let url = format!(
        "{}/me?fields=email,first_name,last_name,name,picture",
        visit.api()
    );
    let proof = appsecret_proof(visit.client_secret(), &visit.tokens.access_token);
    let user: User = visit.get(&format!("{url}&appsecret_proof={proof}")).await?;
    let claims = Claims {
        nickname: user.name.clone(),
        slug: user.name,
        ..Claims::of(url, user.id)
            .named(full_name(&user.first_name, &user.last_name))
            .pictured(user.picture.data.url)
    };
    Ok(Profile::new(&user.email, true, claims))
}

/// Shows that the token was given to us: <https://developers.facebook.com/docs/graph-api/guides/secure-requests>
fn appsecret_proof(secret: &str, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, token.as_bytes()))
}
