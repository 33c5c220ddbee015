//! What a step says that it does, once its text has been filled in.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::server::Request;

/// The client of the recordings: sessions remember it.
const USER_AGENT: &str = "twin";

/// What to send: step `http`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    method: String,
    path: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    /// As text: the order of members counts.
    json: Option<Box<RawValue>>,
    form: Option<Map<String, Value>>,
    raw: Option<String>,
    fill: Option<Fill>,
    #[serde(default = "once")]
    pub times: usize,
}

/// A long raw body.
#[derive(Deserialize)]
struct Fill {
    before: String,
    text: String,
    times: usize,
    after: String,
}

fn once() -> usize {
    1
}

impl Http {
    pub fn request(&self) -> Request {
        let (content_type, body) = if let Some(json) = &self.json {
            (Some("application/json"), json.get().to_owned())
        } else if let Some(form) = &self.form {
            let pairs = form
                .iter()
                .map(|(name, value)| (name, value.as_str().unwrap()));
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            (Some("application/x-www-form-urlencoded"), body)
        } else if let Some(fill) = &self.fill {
            (
                None,
                format!(
                    "{}{}{}",
                    fill.before,
                    fill.text.repeat(fill.times),
                    fill.after
                ),
            )
        } else {
            (None, self.raw.clone().unwrap_or_default())
        };
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        for (name, value) in [
            ("content-type", content_type),
            ("user-agent", Some(USER_AGENT)),
        ] {
            if let Some(value) = value
                && !headers.iter().any(|(header, _)| header == name)
            {
                headers.push((name.into(), value.into()));
            }
        }
        let method = self.method.parse().unwrap();
        Request {
            method,
            path: self.path.clone(),
            headers,
            body: Bytes::from(body),
        }
    }

    pub fn names_origin(&self) -> bool {
        self.headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("origin"))
    }
}

/// Which mail to take: step `mail`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub to: Option<String>,
    #[serde(default)]
    pub headers: Vec<String>,
    #[serde(default)]
    pub none: bool,
}

/// The name under which a step saves what it makes.
#[derive(Deserialize)]
pub struct Named {
    pub r#as: String,
}

/// What counts of the requests: step `received`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    #[serde(default)]
    pub headers: Vec<String>,
    pub secrets: Option<String>,
}
