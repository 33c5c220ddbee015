//! What a step says that it does, once its text has been filled in.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
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

/// A text in another form: step `encode`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encode {
    pub r#as: String,
    text: String,
    form: Form,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Sha256Hex,
    Sha256B64u,
    Base64,
    Base64Url,
}

impl Encode {
    pub fn result(&self) -> String {
        let digest = || digest(&SHA256, self.text.as_bytes());
        match self.form {
            Form::Sha256Hex => hex(digest().as_ref()),
            Form::Sha256B64u => URL_SAFE_NO_PAD.encode(digest()),
            Form::Base64 => STANDARD.encode(&self.text),
            Form::Base64Url => URL_SAFE_NO_PAD.encode(&self.text),
        }
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What counts of the requests: step `received`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    #[serde(default)]
    pub headers: Vec<String>,
    /// The secrets of a hook, whose signature is looked at.
    pub secrets: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_encoded_as_asked() {
        let encoded = |form: &str| {
            let spec = json!({"as": "x", "text": "a?>", "form": form});
            serde_json::from_value::<Encode>(spec).unwrap().result()
        };
        assert_eq!(encoded("base64"), "YT8+");
        assert_eq!(encoded("base64url"), "YT8-");
        let digest = "d6ed24edf630d971a71b62be6ea023a163bb689745e74199a835034cf2663415";
        assert_eq!(encoded("sha256hex"), digest);
        assert_eq!(
            encoded("sha256b64u"),
            "1u0k7fYw2XGnG2K-bqAjoWO7aJdF50GZqDUDTPJmNBU"
        );
    }
}
