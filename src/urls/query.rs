//! Queries and forms as Go reads and prints them (`url.ParseQuery`, `url.Values`).

use super::Malformed;
use super::percent::{Part, escape, unescape};

/// The pairs of a query or form, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

/// Above this many pairs Go reads none at all.
const MAX_PAIRS: usize = 10_000;

impl Pairs {
    /// Reads what can be read: a pair with a semicolon or a broken escape is left out, as in Go.
    /// Text that is no UTF-8 has its bad bytes replaced.
    #[must_use]
    pub fn parse_lenient(text: &str) -> Self {
        Self(split(text).filter_map(Result::ok).collect())
    }

    /// Reads all pairs or none: the first pair that Go would leave out is an error.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        split(text).collect::<Result<_, _>>().map(Self)
    }

    /// The first value of this name, empty if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// Replaces all values of this name by one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Prints the pairs sorted by name (values of one name keep their order).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_by_key(|(name, _)| *name);
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&escape(name.as_bytes(), Part::Query));
            text.push('=');
            text.push_str(&escape(value.as_bytes(), Part::Query));
        }
        text
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }
}

fn split(text: &str) -> impl Iterator<Item = Result<(String, String), Malformed>> {
    let text = if text.bytes().filter(|&byte| byte == b'&').count() < MAX_PAIRS {
        text
    } else {
        ""
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        if pair.contains(';') {
            return Err(Malformed("invalid semicolon separator in query"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text| Ok(String::from_utf8_lossy(&unescape(text, Part::Query)?).into_owned());
        Ok((plain(name)?, plain(value)?))
    })
}
