//! Discord.

use anyhow::Context as _;
use serde::Deserialize;

use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "discord.com",
    authorize: "/api/oauth2/authorize",
    token: Place::Auth("/api/oauth2/token"),
    scopes: &["email", "identify"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    username: String,
    discriminator: String,
    global_name: String,
    avatar: String,
    email: String,
    verified: bool,
}

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/api", visit.api());
    let user: User = visit.get(&format!("{api}/users/@me")).await?;
    let picture = user.picture()?;
    let claims = Claims {
        name: format!("{}#{}", user.username, user.discriminator),
        full_name: user.username,
        ..Claims::of(api, user.id)
            .pictured(picture)
            .with("global_name", user.global_name)
    };
    Ok(Profile::new(&user.email, user.verified, claims))
}

impl User {
    /// <https://discord.com/developers/docs/reference#image-formatting>
    fn picture(&self) -> anyhow::Result<String> {
        let Self { id, avatar, .. } = self;
        if avatar.is_empty() {
            let number: i64 = self.discriminator.parse().context("the discriminator")?;
            return Ok(format!(
                "https://cdn.discordapp.com/embed/avatars/{}.png",
                number % 5
            ));
        }
        let ending = if avatar.starts_with("a_") {
            "gif"
        } else {
            "png"
        };
        Ok(format!(
            "https://cdn.discordapp.com/avatars/{id}/{avatar}.{ending}"
        ))
    }
}
