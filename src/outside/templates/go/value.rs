//! What a template computes with: the JSON it was given, as Go's decoder would have typed it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::number;

/// One value. Numbers from JSON are floats, as in Go's `map[string]any`; integers come from constants,
/// `len` and range indexes, bytes from indexing a string.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// No value at all: a missing key.
    Missing,
    /// JSON's null.
    Nil,
    Bool(bool),
    Int(i64),
    Byte(u8),
    Float(f64),
    Str(Cow<'a, str>),
    List(&'a [Json]),
    Map(&'a Map<String, Json>),
}

impl<'a> Value<'a> {
    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => value.as_f64().map_or(Self::Nil, Self::Float),
            Json::String(value) => Self::Str(Cow::Borrowed(value)),
            Json::Array(values) => Self::List(values),
            Json::Object(members) => Self::Map(members),
        }
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Str(text.into())
    }

    /// What a pipe hands on: a null is as good as nothing there.
    pub(super) fn settled(self) -> Self {
        if self == Self::Nil {
            Self::Missing
        } else {
            self
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// What `if` sees: everything but the zero of each type.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(value) => !value.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Map(members) => !members.is_empty(),
        }
    }

    /// Go's name of the type, for messages and `%T`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
        }
    }

    /// Appends the value as Go's `fmt.Print` shows it.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Nil => out.push_str("<nil>"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Byte(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&number::shortest(*value)),
            Self::Str(value) => out.push_str(value),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(' ');
                    }
                    Value::from_json(value).print(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push_str("map[");
                for (at, (name, value)) in sorted(members).into_iter().enumerate() {
                    if at > 0 {
                        out.push(' ');
                    }
                    out.push_str(name);
                    out.push(':');
                    Value::from_json(value).print(out);
                }
                out.push(']');
            }
        }
    }

    /// Appends the value as Go's `json.Marshal` writes it: `<`, `>`, `&` and the line separators escaped.
    pub(super) fn json(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Nil => out.push_str("null"),
            Self::Bool(_) | Self::Int(_) | Self::Byte(_) => self.print(out),
            Self::Float(value) => out.push_str(&number::json(*value)),
            Self::Str(value) => json_text(value, out),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    Value::from_json(value).json(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (at, (name, value)) in sorted(members).into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    json_text(name, out);
                    out.push(':');
                    Value::from_json(value).json(out);
                }
                out.push('}');
            }
        }
    }
}

/// Members by name: the order of Go's printing, ranging and marshalling.
pub(super) fn sorted(members: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
