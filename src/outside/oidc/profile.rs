//! What an ID token says of a person, issuer by issuer (GoTrue's provider/oidc.go): each has its own idea of a
//! verified address.

use anyhow::Context as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use super::{IdToken, issuers};
use crate::config;
use crate::outside::providers::{Claims, Email, Profile, full_name};

impl IdToken {
    /// Whom it is about, in the form that every provider's answer is brought into.
    pub fn profile(&self) -> anyhow::Result<Profile> {
        match self.issuer() {
            issuers::GOOGLE => google(self),
            issuers::LINKEDIN => linkedin(self),
            issuers::KAKAO => kakao(self),
            issuers::VERCEL_MARKETPLACE => vercel_marketplace(self),
            issuers::FACEBOOK => facebook(self),
            issuers::SNAPCHAT => snapchat(self),
            issuer if issuers::is_azure(issuer) => azure(self),
            issuer if issuers::is_apple(issuer) => apple(self),
            _ => generic(self),
        }
    }

    /// What every issuer says in the same way.
    fn basics(&self) -> Claims {
        Claims::of(self.issuer(), self.subject())
    }
}

/// The standard claims as they are; an address is verified if the issuer says so in the one right way.
fn generic(token: &IdToken) -> anyhow::Result<Profile> {
    let claims: Claims = token.claims()?;
    let verified = claims.email_verified;
    Ok(Profile::of(claims, verified))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Google {
    name: String,
    picture: String,
    email: String,
    verified_email: bool,
    email_verified: bool,
    /// The domain of a company's account.
    hd: String,
}

fn google(token: &IdToken) -> anyhow::Result<Profile> {
    let said: Google = token.claims()?;
    let mut claims = token.basics().named(said.name).pictured(said.picture);
    if !said.hd.is_empty() {
        claims = claims.with("hd", said.hd);
    }
    let verified = said.verified_email || said.email_verified;
    Ok(Profile::new(&said.email, verified, claims))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LinkedIn {
    email: String,
    email_verified: Text,
    family_name: String,
    given_name: String,
    locale: String,
    picture: String,
}

fn linkedin(token: &IdToken) -> anyhow::Result<Profile> {
    let said: LinkedIn = token.claims()?;
    let claims = Claims {
        name: full_name(&said.given_name, &said.family_name),
        given_name: said.given_name,
        family_name: said.family_name,
        locale: said.locale,
        picture: said.picture,
        ..token.basics()
    };
    let Text(verified) = said.email_verified;
    let verified = verified.context("email_verified is missing")?;
    Ok(Profile::new(&said.email, verified, claims))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kakao {
    email: String,
    nickname: String,
    picture: String,
}

fn kakao(token: &IdToken) -> anyhow::Result<Profile> {
    let said: Kakao = token.claims()?;
    let claims = Claims {
        name: said.nickname.clone(),
        preferred_username: said.nickname,
        picture: said.picture,
        ..token.basics()
    };
    Ok(Profile::new(&said.email, true, claims))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VercelMarketplace {
    global_user_id: String,
    user_email: String,
    user_name: String,
    user_avatar_url: String,
}

/// Its `sub` names a person within one installation; where it names the person everywhere, that counts.
fn vercel_marketplace(token: &IdToken) -> anyhow::Result<Profile> {
    let said: VercelMarketplace = token.claims()?;
    let sub = match said.global_user_id.as_str() {
        "" => token.subject().to_owned(),
        everywhere => format!("global_user_id:{everywhere}"),
    };
    let claims = Claims {
        name: said.user_name,
        picture: said.user_avatar_url,
        ..Claims::of(token.issuer(), sub)
    };
    Ok(vouched_for(said.user_email, claims))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Facebook {
    email: String,
    name: String,
    picture: String,
}

fn facebook(token: &IdToken) -> anyhow::Result<Profile> {
    let said: Facebook = token.claims()?;
    let claims = Claims {
        name: said.name,
        picture: said.picture,
        email: said.email.clone(),
        email_verified: !said.email.is_empty(),
        ..token.basics()
    };
    Ok(Profile::new(&said.email, true, claims))
}

fn snapchat(token: &IdToken) -> anyhow::Result<Profile> {
    let mut claims: Claims = token.claims()?;
    claims.email_verified |= !claims.email.is_empty();
    Ok(Profile::of(claims, true))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Azure {
    email: String,
    name: String,
    preferred_username: String,
    /// Whether the owner of the address's domain is the tenant; `"1"` and `"true"` are also seen.
    xms_edov: Option<Value>,
}

/// What is said elsewhere, or of the token and not of the person
/// (<https://learn.microsoft.com/en-us/azure/active-directory/develop/id-token-claims-reference>).
const NOT_OF_THE_PERSON: [&str; 16] = [
    "aud",
    "iss",
    "iat",
    "nbf",
    "exp",
    "c_hash",
    "at_hash",
    "aio",
    "nonce",
    "rh",
    "uti",
    "jti",
    "ver",
    "sub",
    "name",
    "preferred_username",
];

fn azure(token: &IdToken) -> anyhow::Result<Profile> {
    let said: Azure = token.claims()?;
    let mut custom_claims: Map<String, Value> = token.claims()?;
    custom_claims.retain(|name, _| !NOT_OF_THE_PERSON.contains(&name.as_str()));
    let claims = Claims {
        preferred_username: said.preferred_username,
        full_name: said.name,
        custom_claims: Some(custom_claims),
        ..token.basics()
    };
    // Where the claim is not configured, Azure sends unverified addresses of the tenant's own directory only.
    let verified = match said.xms_edov {
        None => true,
        Some(Value::Bool(verified)) => verified,
        Some(Value::String(text)) => matches!(text.as_str(), "1" | "true"),
        Some(_) => false,
    };
    Ok(Profile::new(&said.email, verified, claims))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Apple {
    email: String,
    auth_time: Option<Number>,
    is_private_email: BoolOrText,
    transfer_sub: String,
}

fn apple(token: &IdToken) -> anyhow::Result<Profile> {
    let said: Apple = token.claims()?;
    let mut claims = token.basics();
    if let BoolOrText(Some(is_private)) = said.is_private_email {
        claims = claims.with("is_private_email", is_private);
    }
    if let Some(at) = said.auth_time {
        claims = claims.with("auth_time", at);
    }
    if !said.transfer_sub.is_empty() {
        claims = claims.with("transfer_sub", said.transfer_sub);
    }
    Ok(vouched_for(said.email, claims))
}

/// An address that is always verified, even where there is none: who gives Apple's apps no address signs in without one.
fn vouched_for(email: String, claims: Claims) -> Profile {
    let email = Email {
        email,
        verified: true,
        primary: true,
    };
    Profile {
        emails: vec![email],
        claims,
    }
}

/// `"true"`, `"1"`, .. as settings are spelt; nothing else is a yes or a no.
#[derive(Default)]
struct Text(Option<bool>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom("it is neither true nor false");
        Ok(Self(Some(config::boolean(&text).ok_or_else(wrong)?)))
    }
}

/// The same, or a plain boolean.
#[derive(Default)]
struct BoolOrText(Option<bool>);

impl<'de> Deserialize<'de> for BoolOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parsed = match Value::deserialize(deserializer)? {
            Value::Bool(value) => Some(value),
            Value::String(text) => config::boolean(&text),
            _ => None,
        };
        let wrong = || D::Error::custom("it is neither true nor false");
        Ok(Self(Some(parsed.ok_or_else(wrong)?)))
    }
}
