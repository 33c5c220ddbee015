//! LinkedIn, by its API of before `linkedin_oidc`.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::profile::full_name;
use super::{Claims, Facts, Place, Profile, Visit};

pub const FACTS: Facts = Facts {
    auth_host: "api.linkedin.com",
    authorize: "/oauth/v2/authorization",
    token: Place::Auth("/oauth/v2/accessToken"),
    scopes: &["r_emailaddress", "r_liteprofile"],
    ..Facts::PLAIN
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct User {
    id: String,
    first_name: Name,
    last_name: Name,
    profile_picture: Picture,
}

/// A name in several languages.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Name {
    localized: Map<String, Value>,
    preferred_locale: Locale,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Locale {
    language: String,
    country: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Picture {
    #[serde(rename = "displayImage~")]
    display_image: Elements<Image>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Elements<T> {
    elements: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Image {
    identifiers: Vec<Identifier>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifier {
    identifier: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Handle {
    #[serde(rename = "handle~")]
    contact: Contact,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Contact {
    email_address: String,
}

/// LinkedIn tells only the primary address, which is confirmed.
pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let api = format!("{}/v2", visit.api());
    let picture = "profilePicture(displayImage~:playableStreams)";
    let url = format!("{api}/me?projection=(id,firstName,lastName,{picture})");
    let user: User = visit.get(&url).await?;
    let url = format!("{api}/emailAddress?q=members&projection=(elements*(handle~))");
    let handles: Elements<Handle> = visit.get(&url).await?;
    let email = handles
        .elements
        .first()
        .map_or("", |handle| &handle.contact.email_address);
    let image = user.profile_picture.display_image.elements.first();
    let picture = image.and_then(|image| image.identifiers.first());
    let claims = Claims::of(visit.api(), user.id)
        .named(full_name(
            user.first_name.preferred()?,
            user.last_name.preferred()?,
        ))
        .pictured(picture.map_or("", |picture| &picture.identifier));
    Ok(Profile::new(email, true, claims))
}

impl Name {
    fn preferred(&self) -> anyhow::Result<&str> {
        let Locale { language, country } = &self.preferred_locale;
        let name = self.localized.get(&format!("{language}_{country}"));
        name.and_then(Value::as_str)
            .context("a name lacks its preferred language")
    }
}

impl<T> Default for Elements<T> {
    fn default() -> Self {
        Self {
            elements: Vec::new(),
        }
    }
}
