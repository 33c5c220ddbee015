//! What a provider says of a person: GoTrue's `provider.UserProvidedData`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::json;

/// Who signed in at a provider.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// The person's addresses.
    pub emails: Vec<Email>,
    /// Everything else.
    pub claims: Claims,
}

/// An address, as a provider knows it.
#[derive(Debug, Clone)]
pub struct Email {
    /// The address.
    pub email: String,
    /// Whether the provider vouches that it is the person's.
    pub verified: bool,
    /// Whether it is the one to use.
    pub primary: bool,
}

impl Email {
    /// None where it is empty, as some providers have it.
    #[must_use]
    pub fn new(email: String, verified: bool, primary: bool) -> Option<Self> {
        (!email.is_empty()).then_some(Self {
            email,
            verified,
            primary,
        })
    }
}

/// A name in two parts, of which either may be missing.
#[must_use]
pub fn full_name(given: &str, family: &str) -> String {
    format!("{given} {family}").trim().to_owned()
}

impl Profile {
    /// A person with one address, or none where it is empty.
    #[must_use]
    pub fn new(email: &str, verified: bool, claims: Claims) -> Self {
        let email = Email::new(email.to_owned(), verified, true);
        Self {
            emails: email.into_iter().collect(),
            claims,
        }
    }

    /// A person whose address stands among the claims.
    #[must_use]
    pub fn of(claims: Claims, verified: bool) -> Self {
        Self::new(&claims.email.clone(), verified, claims)
    }
}

macro_rules! claims {
    ($($(#[$attribute:meta])* $name:ident: $Type:ty,)+) => {
        /// OpenID Connect's standard claims, and GoTrue's own: they become `identity_data` and `user_metadata`.
        /// Empty ones are left out; null counts as empty.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the claims of OpenID Connect Core 1.0, section 5.1")]
        pub struct Claims {
            $(
                #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Empty::is_empty")]
                $(#[$attribute])*
                pub $name: $Type,
            )+
            #[serde(default, deserialize_with = "null_is_empty")]
            pub email_verified: bool,
            #[serde(default, deserialize_with = "null_is_empty")]
            pub phone_verified: bool,
        }
    };
}

claims! {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(serialize_with = "whole")]
    iat: f64,
    #[serde(serialize_with = "whole")]
    exp: f64,
    name: String,
    family_name: String,
    given_name: String,
    middle_name: String,
    nickname: String,
    preferred_username: String,
    profile: String,
    picture: String,
    website: String,
    gender: String,
    birthdate: String,
    zoneinfo: String,
    locale: String,
    updated_at: Moment,
    email: String,
    phone: String,
    /// What only this provider says; where it might, and says nothing, GoTrue keeps an empty object.
    custom_claims: Option<Map<String, Value>>,
    full_name: String,
    avatar_url: String,
    slug: String,
    provider_id: String,
    user_name: String,
}

impl Claims {
    /// Somebody, by the id that the provider `iss` knows them by.
    #[must_use]
    pub fn of(iss: impl Into<String>, sub: impl Into<String>) -> Self {
        let sub = sub.into();
        Self {
            iss: iss.into(),
            provider_id: sub.clone(),
            sub,
            ..Self::default()
        }
    }

    /// With a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            full_name: name.clone(),
            name,
            ..self
        }
    }

    /// With the address of a picture.
    #[must_use]
    pub fn pictured(self, picture: impl Into<String>) -> Self {
        let picture = picture.into();
        Self {
            avatar_url: picture.clone(),
            picture,
            ..self
        }
    }

    /// With something that only this provider says.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let custom_claims = self.custom_claims.get_or_insert_default();
        custom_claims.insert(name.to_owned(), value.into());
        self
    }

    /// These, and of the others what these do not say.
    pub(super) fn or(self, others: Self) -> serde_json::Result<Self> {
        let phone_verified = self.phone_verified || others.phone_verified;
        let mut all = others.into_identity_data();
        all.extend(self.into_identity_data());
        let all: Self = serde_json::from_value(Value::Object(all))?;
        Ok(Self {
            phone_verified,
            ..all
        })
    }

    /// As they are stored.
    #[must_use]
    pub fn into_identity_data(self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(claims)) => claims,
            _ => Map::new(),
        }
    }
}

/// As Go writes numbers: 1700000000, not 1700000000.0.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "what an i64 does not hold is not equal to it"
)]
#[expect(clippy::cast_precision_loss, reason = "the number came from a double")]
#[expect(clippy::float_cmp, reason = "whether it is whole")]
fn whole<S: serde::Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = *number as i64;
    if whole as f64 == *number {
        serializer.serialize_i64(whole)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audience(pub Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::One(audience) => vec![audience],
            Form::Many(audiences) => audiences,
        }))
    }
}

/// A moment that providers write in seconds or as RFC 3339 has it; stored as the latter.
#[derive(Debug, Clone, Default)]
pub struct Moment(Option<Timestamp>);

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.map(json::Time).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Seconds(f64),
            Text(String),
        }
        let parsed = match Form::deserialize(deserializer)? {
            Form::Text(text) if text.is_empty() => return Ok(Self(None)),
            Form::Text(text) => chrono::DateTime::parse_from_rfc3339(&text)
                .ok()
                .map(|time| time.to_utc()),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "beyond that there is no date"
            )]
            Form::Seconds(seconds) => chrono::DateTime::from_timestamp(seconds as i64, 0),
        };
        let wrong = || serde::de::Error::custom("it is no moment");
        parsed.map(|time| Self(Some(time))).ok_or_else(wrong)
    }
}

/// What is left out of the stored claims.
trait Empty {
    fn is_empty(&self) -> bool;
}

impl Empty for String {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl Empty for f64 {
    fn is_empty(&self) -> bool {
        *self == 0.0
    }
}

impl Empty for Audience {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Empty for Moment {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Empty for Option<Map<String, Value>> {
    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

/// As Go decodes: null leaves a field empty.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> serde_json::Result<Value> {
        serde_json::from_value::<Claims>(claims).map(|claims| claims.into_identity_data().into())
    }

    #[test]
    fn what_is_empty_is_not_stored() {
        let nothing = json!({ "email_verified": false, "phone_verified": false });
        assert_eq!(read(json!({})).unwrap(), nothing);
        let empty = json!({
            "iss": "", "aud": [], "iat": 0, "updated_at": "", "custom_claims": null, "email_verified": null, "name": null,
        });
        assert_eq!(read(empty).unwrap(), nothing);
    }

    #[test]
    fn what_only_this_provider_says_is_stored_even_if_it_says_nothing() {
        let claims = Claims {
            custom_claims: Some(Map::new()),
            ..Claims::of("https://a.example", "1")
        };
        let stored = json!({
            "iss": "https://a.example", "sub": "1", "provider_id": "1", "custom_claims": {},
            "email_verified": false, "phone_verified": false,
        });
        assert_eq!(Value::Object(claims.into_identity_data()), stored);
    }

    #[test]
    fn audiences_and_moments_come_in_two_forms() {
        let told = json!({ "aud": "us", "updated_at": 1_700_000_000.9 });
        let stored = read(told).unwrap();
        assert_eq!(
            (&stored["aud"], &stored["updated_at"]),
            (&json!(["us"]), &json!("2023-11-14T22:13:20Z"))
        );
        let told = json!({ "aud": ["us", "them"], "updated_at": "2023-11-14T23:13:20.5+01:00" });
        let stored = read(told).unwrap();
        assert_eq!(
            (&stored["aud"], &stored["updated_at"]),
            (&json!(["us", "them"]), &json!("2023-11-14T22:13:20.5Z"))
        );
    }

    #[test]
    fn another_type_is_an_error() {
        for claims in [
            json!({ "sub": 5 }),
            json!({ "email_verified": "true" }),
            json!({ "aud": [5] }),
            json!({ "iat": "1" }),
            json!({ "updated_at": "yesterday" }),
            json!({ "updated_at": 1e300 }),
            json!({ "custom_claims": [] }),
        ] {
            read(claims.clone()).expect_err(&claims.to_string());
        }
    }

    #[test]
    fn a_name_is_whole_with_one_part_too() {
        let names = [("Ann", "Lee"), ("Ann", ""), ("", "Lee"), ("", "")];
        let whole = names.map(|(given, family)| full_name(given, family));
        assert_eq!(whole, ["Ann Lee", "Ann", "Lee", ""]);
    }
}
