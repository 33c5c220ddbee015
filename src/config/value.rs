//! What a variable's text may be: one `Value` per type of setting, so that the type of a field tells its
//! syntax, and the words for a text that does not fit.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use chrono::DateTime;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use url::Url;

use super::go;
use crate::clock::Timestamp;

/// A type of setting.
pub trait Value: Sized {
    /// The accepted form: "it is not ..".
    const FORM: &'static str;
    /// Whether the empty text has a meaning. GoTrue refuses numbers, booleans and durations that are set,
    /// but empty.
    const MAY_BE_EMPTY: bool = false;
    /// Whether a text of this type must never be shown.
    const SECRET: bool = false;

    /// Reads a text.
    fn parse(text: &str) -> Option<Self>;
}

/// Reads a field from its variable's text; serde calls this for every field of every section.
pub fn deserialize<'de, D: Deserializer<'de>, T: Value>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    T::parse(&text).ok_or_else(|| Error::custom(misfit::<T>(&text)))
}

/// What is wrong with a text that does not parse.
fn misfit<T: Value>(text: &str) -> String {
    /// Longer texts are cut, so that a line of errors stays a line.
    const SHOWN: usize = 60;

    if T::SECRET {
        return format!(
            "its value (not shown, as it is a secret) is not {}",
            T::FORM
        );
    }
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{:?}.. is not {}", text.split_at(at).0, T::FORM),
        None => format!("{text:?} is not {}", T::FORM),
    }
}

impl Value for bool {
    const FORM: &'static str = "true or false (1, t, 0 and f will do)";

    fn parse(text: &str) -> Option<Self> {
        go::boolean(text)
    }
}

macro_rules! whole_numbers {
    ($($Type:ty: $form:literal,)*) => {
        $(impl Value for $Type {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Option<Self> {
                go::integer(text)?.try_into().ok()
            }
        })*
    };
}

whole_numbers! {
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number, 0 or more",
    i64: "a whole number",
    usize: "a whole number, 0 or more",
}

impl Value for f64 {
    const FORM: &'static str = "a number, 0 or more, such as 30 or 0.5";

    fn parse(text: &str) -> Option<Self> {
        go::float(text)
    }
}

impl Value for Duration {
    const FORM: &'static str = "a duration: numbers with units, such as 300ms, 90s or 1h30m";

    fn parse(text: &str) -> Option<Self> {
        go::duration(text)
    }
}

impl Value for String {
    const FORM: &'static str = "a text";
    const MAY_BE_EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Separated by commas and, as in GoTrue, not trimmed.
impl Value for Vec<String> {
    const FORM: &'static str = "a list, separated by commas without blanks";
    const MAY_BE_EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::new());
        }
        Some(text.split(',').map(str::to_owned).collect())
    }
}

/// Networks, separated by commas; one address is a network, too.
impl Value for Vec<IpNet> {
    const FORM: &'static str = "a list of networks such as 10.0.0.0/8,fd00::/8";
    const MAY_BE_EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        let network = |text: &str| {
            let text = text.trim();
            text.parse()
                .ok()
                .or_else(|| text.parse().map(IpAddr::into).ok())
        };
        if text.trim().is_empty() {
            return Some(Self::new());
        }
        text.split(',').map(network).collect()
    }
}

impl Value for SecretString {
    const FORM: &'static str = "a text that is not empty";
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
}

impl Value for Url {
    const FORM: &'static str = "a URL such as https://auth.example.com";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
    }
}

impl Value for Timestamp {
    const FORM: &'static str = "a time such as 2027-01-31T12:00:00Z";

    fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text.trim())
            .ok()
            .map(|time| time.to_utc())
    }
}

/// A setting that may be off, which its empty text says too; only numbers and durations are never empty.
impl<T: Value + Optional> Value for Option<T> {
    const FORM: &'static str = T::FORM;
    const MAY_BE_EMPTY: bool = T::OFF_WHEN_EMPTY;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            Some(None)
        } else {
            T::parse(text).map(Some)
        }
    }
}

/// What may stand in an `Option`.
pub trait Optional {
    /// Whether a variable that is set, but empty, counts as not set.
    const OFF_WHEN_EMPTY: bool = true;
}

impl Optional for String {}
impl Optional for SecretString {}
impl Optional for PathBuf {}
impl Optional for Url {}
impl Optional for Timestamp {}
impl Optional for Duration {
    const OFF_WHEN_EMPTY: bool = false;
}

/// A duration that is written as a whole number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// So many seconds.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Value for Seconds {
    const FORM: &'static str = "a whole number of seconds";

    fn parse(text: &str) -> Option<Self> {
        u32::parse(text).map(|seconds| Self::new(seconds.into()))
    }
}

impl Deref for Seconds {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

/// JSON in a variable. GoTrue starts with broken JSON, and so do we: the value is then the empty one, and
/// its section warns about it.
#[derive(Clone, Default)]
pub struct Json<T> {
    value: T,
    broken: bool,
}

impl<T> Json<T> {
    /// Whether the text was no such JSON.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

impl<T: DeserializeOwned + Default> Value for Json<T> {
    const FORM: &'static str = "JSON";
    const MAY_BE_EMPTY: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self {
                value: T::default(),
                broken: false,
            });
        }
        Some(match serde_json::from_str(text) {
            Ok(value) => Self {
                value,
                broken: false,
            },
            Err(_) => Self {
                value: T::default(),
                broken: true,
            },
        })
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Headers for relays and services carry keys.
impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json([REDACTED])")
    }
}

/// Settings of one kind under many names, found by the lower-case end of the variable's name.
#[derive(Debug, Clone)]
pub struct Named<T>(BTreeMap<String, T>);

impl<T> Named<T> {
    /// The setting of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.get(name)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Value> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(T);

        impl<'de, T: Value> Deserialize<'de> for Read<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize(deserializer).map(Self)
            }
        }

        let by_name = BTreeMap::<String, Read<T>>::deserialize(deserializer)?;
        Ok(Self(
            by_name
                .into_iter()
                .map(|(name, Read(value))| (name, value))
                .collect(),
        ))
    }
}
