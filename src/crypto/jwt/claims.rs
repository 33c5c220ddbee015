//! The claims of a received token: those that decide something, and Go's words for a wrong type.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{BearerClaims, VerifyError};

#[derive(Deserialize)]
pub(super) struct Received<'a> {
    #[serde(borrow)]
    sub: Option<Cow<'a, str>>,
    aud: Option<Audience>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    aal: Option<Cow<'a, str>>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    is_anonymous: Option<bool>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

impl<'a> Received<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, VerifyError> {
        serde_json::from_slice(json).map_err(|error| {
            VerifyError::Malformed(
                format!("could not JSON decode claim: {}", explain(json, &error)).into(),
            )
        })
    }
}

impl<'a> From<Received<'a>> for BearerClaims {
    fn from(received: Received<'a>) -> Self {
        let owned = |text: Option<Cow<'a, str>>| text.map(Cow::into_owned).unwrap_or_default();
        Self {
            sub: owned(received.sub),
            aud: received.aud.map(|Audience(aud)| aud).unwrap_or_default(),
            role: owned(received.role),
            session_id: owned(received.session_id),
            aal: owned(received.aal),
            exp: received.exp.map(|Seconds(exp)| exp),
            nbf: received.nbf.map(|Seconds(nbf)| nbf),
            is_anonymous: received.is_anonymous.unwrap_or_default(),
            client_id: owned(received.client_id),
        }
    }
}

/// A string or an array of strings (RFC 7519 §4.1.3).
struct Audience(Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: Error>(self, one: &str) -> Result<Audience, E> {
                Ok(Audience(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = seq.next_element()? {
                    many.push(one);
                }
                Ok(Audience(many))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// A `NumericDate` in whole Unix seconds, cut down as golang-jwt does. A number in quotes is taken too.
#[derive(Clone, Copy)]
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
            }

            #[expect(
                clippy::cast_possible_truncation,
                reason = "`as` saturates: the end of time is far enough"
            )]
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Seconds, E> {
                Ok(Seconds(seconds.floor() as i64))
            }

            fn visit_str<E: Error>(self, quoted: &str) -> Result<Seconds, E> {
                let seconds: f64 = serde_json::from_str(quoted).map_err(E::custom)?;
                self.visit_f64(seconds)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// Go's words for the first claim of a wrong type. Only reached when a token is refused anyway.
fn explain(json: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let Ok(Value::Object(claims)) = serde_json::from_slice(json) else {
        return error.to_string();
    };
    claims
        .iter()
        .find_map(|(name, value)| fault(name, value))
        .unwrap_or_else(|| error.to_string())
}

fn fault(name: &str, value: &Value) -> Option<String> {
    let kind = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let field = |path: &str, wanted: &str| {
        (kind != wanted).then(|| format!("json: cannot unmarshal {kind} into Go struct field AccessTokenClaims.{path} of type {wanted}"))
    };
    match name {
        "sub" => field("RegisteredClaims.sub", "string"),
        "role" | "session_id" | "aal" | "client_id" => field(name, "string"),
        "is_anonymous" => field(name, "bool"),
        "aud" => {
            let strings = match value {
                Value::Array(values) => values.iter().all(Value::is_string),
                other => other.is_string(),
            };
            (!strings).then(|| "invalid type for claim".to_owned())
        }
        "exp" | "nbf" => match value {
            Value::Number(_) => None,
            Value::String(text) if serde_json::from_str::<f64>(text).is_ok() => None,
            Value::String(_) => Some(format!(
                "could not parse NumericData: json: invalid number literal, trying to unmarshal {:?} into Number",
                value.to_string()
            )),
            _ => Some(format!(
                "could not parse NumericData: json: cannot unmarshal {kind} into Go value of type json.Number"
            )),
        },
        _ => None,
    }
}
