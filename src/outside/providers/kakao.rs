//! Kakao.

use serde::Deserialize;

use super::{Claims, ClientAuth, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "kauth.kakao.com",
    api_host: "kapi.kakao.com",
    authorize: "/oauth/authorize",
    token: Place::Auth("/oauth/token"),
    scopes: &["account_email", "profile_image", "profile_nickname"],
    client_auth: ClientAuth::Body,
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: i64,
    kakao_account: Account,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Account {
    email: String,
    is_email_valid: bool,
    is_email_verified: bool,
    profile: Public,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Public {
    nickname: String,
    profile_image_url: String,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let user: User = visit.get(&format!("{}/v2/user/me", visit.api())).await?;
    let account = user.kakao_account;
    let Public {
        nickname,
        profile_image_url,
    } = account.profile;
    let claims = Claims {
        preferred_username: nickname.clone(),
        user_name: nickname.clone(),
        avatar_url: profile_image_url,
        ..Claims::of(visit.api(), user.id.to_string()).named(nickname)
    };
    let verified = account.is_email_valid && account.is_email_verified;
    Ok(Profile::new(&account.email, verified, claims))
}
