//! What a step got, in the form of the recordings.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::server::Answer;
use super::standin::Received;
use crate::support::outbox::{Mail, links};

/// Response headers that count; `sb-auth-*` do as well, and those of CORS when the request has an Origin.
const HEADERS: [&str; 14] = [
    "allow",
    "cache-control",
    "content-disposition",
    "content-type",
    "etag",
    "link",
    "location",
    "pragma",
    "retry-after",
    "set-cookie",
    "www-authenticate",
    "x-sb-error-code",
    "x-supabase-api-version",
    "x-total-count",
];

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The answer as recordings have it.
    pub fn document(
        &self,
        expect: &Map<String, Value>,
        exact: bool,
        origin: bool,
    ) -> Map<String, Value> {
        let expected_header = |name: &str| {
            expect
                .get("headers")
                .is_some_and(|headers| headers.get(name).is_some())
        };
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &self.headers {
            let counts = HEADERS.contains(&name.as_str())
                || name.starts_with("sb-auth-")
                || (origin && (name == "vary" || name.starts_with("access-control-")));
            // Welcome where GoTrue sends none.
            let more = ["retry-after", "etag"].contains(&name.as_str()) && !expected_header(name);
            if counts && !more {
                let joined = match headers.get(name).and_then(Value::as_str) {
                    Some(earlier) => format!("{earlier}, {value}"),
                    None => value.clone(),
                };
                headers.insert(name.clone(), joined.into());
            }
        }
        if let Some(Value::String(allow)) = headers.get_mut("allow") {
            let mut methods: Vec<&str> = allow.split(", ").collect();
            methods.sort_unstable();
            *allow = methods.join(", ");
        }
        let is_json = headers
            .get("content-type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.contains("json"));
        let json = if is_json && !exact {
            serde_json::from_str(&self.body).ok()
        } else {
            None
        };
        let (member, body) = json.map_or_else(
            || ("text", Value::from(self.body.clone())),
            |body| ("body", body),
        );
        object(json!({"status": self.status, "headers": headers, member: body}))
    }
}

impl Mail {
    /// The mail as recordings have it, with these headers.
    pub fn document(&self, headers: &[String]) -> Map<String, Value> {
        let mut document = object(json!({
            "to": self.to, "from": self.from, "subject": self.subject, "type": self.content_type, "html": self.html,
        }));
        let value = |name: &str| match name {
            "content-type" => self.header(name).map(quote_parameters),
            _ => self.header(name).map(ToOwned::to_owned),
        };
        let named = headers
            .iter()
            .filter_map(|name| Some((name.clone(), value(name)?.into())));
        let named: Map<String, Value> = named.collect();
        if !named.is_empty() {
            document.insert("headers".into(), named.into());
        }
        document
    }
}

/// `text/html; charset=UTF-8` with its parameters in quotes, as the recordings have them.
fn quote_parameters(content_type: &str) -> String {
    let quote = |part: &str| match part.trim().split_once('=') {
        Some((name, value)) => format!("{name}=\"{}\"", value.trim_matches('"')),
        None => part.trim().to_owned(),
    };
    content_type
        .split(';')
        .map(quote)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Puts the first links of a mail, without repeats, in the place of its text; returns how many these are.
pub fn replace_words(mail: &mut Map<String, Value>, most: usize) -> usize {
    mail.remove("type");
    let html = mail.remove("html").unwrap_or_default();
    let mut first = Vec::new();
    for link in links(html.as_str().unwrap_or_default()) {
        if !first.contains(&link) && first.len() < most {
            first.push(link);
        }
    }
    let count = first.len();
    mail.insert("links".into(), first.into());
    count
}

impl Received {
    /// The request as recordings have it, with these headers.
    pub fn document(&self, headers: &[String]) -> Value {
        let header = |name: &str| Some(self.headers.get(name)?.to_str().unwrap().to_owned());
        let mut document = object(json!({"method": self.method, "path": self.path}));
        let pairs = |text: &[u8]| -> Value {
            form_urlencoded::parse(text)
                .map(|(name, value)| (name.into_owned(), value.into()))
                .collect::<Map<_, _>>()
                .into()
        };
        if let Some(query) = self.query.as_ref().filter(|query| !query.is_empty()) {
            document.insert("query".into(), pairs(query.as_bytes()));
        }
        let named = headers
            .iter()
            .filter_map(|name| Some((name.clone(), header(name)?.into())));
        let named: Map<String, Value> = named.collect();
        if !named.is_empty() {
            document.insert("headers".into(), named.into());
        }
        if !self.body.is_empty() {
            let kind = header("content-type").unwrap_or_default();
            let text = || Value::from(String::from_utf8_lossy(&self.body).into_owned());
            let body = match kind.split(';').next() {
                Some("application/json") => {
                    serde_json::from_slice(&self.body).unwrap_or_else(|_| text())
                }
                Some("application/x-www-form-urlencoded") => pairs(&self.body),
                _ => text(),
            };
            document.insert("body".into(), body);
        }
        Value::Object(document)
    }
}

/// The members of a JSON object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}
