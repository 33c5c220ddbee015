//! Where a step finds what later steps use: `body:/id`, `query:code`, `link:token`, `code:`, `row:/0/id`, ..

use serde_json::Value;
use url::form_urlencoded;

use super::server::Answer;
use crate::support::outbox::Mail;

/// What a step got.
pub enum Got<'a> {
    Answer(&'a Answer),
    Mail(&'a Mail),
    /// Rows of a statement, or requests that the stand-in received.
    Items(&'a Value),
}

impl Got<'_> {
    /// The value at a source, as text; nothing when it is not there.
    pub fn find(&self, source: &str) -> Option<String> {
        let (place, argument) = source.split_once(':').unwrap_or((source, ""));
        match (self, place) {
            (Self::Answer(answer), "body") => {
                let body: Value = serde_json::from_str(&answer.body).ok()?;
                Some(text(body.pointer(argument)?))
            }
            (Self::Answer(answer), "header") => answer.header(argument).map(ToOwned::to_owned),
            (Self::Answer(answer), "query") => {
                parameter(query(answer.header("location")?)?, argument)
            }
            (Self::Answer(answer), "fragment") => {
                parameter(answer.header("location")?.split_once('#')?.1, argument)
            }
            (Self::Answer(answer), "regex") => first_group(argument, &answer.body),
            (Self::Mail(mail), "regex") => first_group(argument, &mail.html),
            (Self::Mail(mail), "code") => mail.code(),
            (Self::Mail(mail), "link") => {
                let link = mail.links().into_iter().next()?;
                if argument.is_empty() {
                    Some(link)
                } else {
                    parameter(query(&link)?, argument)
                }
            }
            (Self::Mail(mail), "path") => {
                let link = mail.links().into_iter().next()?;
                let (_, rest) = link.split_once("://")?;
                Some(rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..].to_owned())
            }
            (Self::Items(items), "row" | "received") => Some(text(items.pointer(argument)?)),
            _ => None,
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn query(url: &str) -> Option<&str> {
    Some(url.split('#').next()?.split_once('?')?.1)
}

fn parameter(pairs: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(pairs.as_bytes());
    pairs
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

fn first_group(pattern: &str, text: &str) -> Option<String> {
    let found = regex::Regex::new(pattern).unwrap().captures(text)?;
    Some(found.get(1)?.as_str().to_owned())
}
