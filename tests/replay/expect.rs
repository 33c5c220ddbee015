//! Compares what a step got with what was recorded.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use truegate::clock::Timestamp;

use super::placeholders::{self, Names};
use crate::support::token::{self, Keys};

/// One place where an answer is not the recorded one.
#[derive(Debug, Clone)]
pub struct Difference {
    /// JSON pointer into the document of the step: `/body/user/id`.
    pub pointer: String,
    expected: String,
    got: String,
    why: String,
}

impl Difference {
    /// Something that did not happen, or could not.
    pub fn failure(why: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            expected: String::new(),
            got: String::new(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.why);
        }
        write!(
            f,
            "{}: expected {}, got {}",
            self.pointer, self.expected, self.got
        )?;
        if self.why.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.why)
        }
    }
}

/// What a comparison needs besides the two documents.
pub struct Context<'a> {
    pub names: &'a mut Names,
    pub keys: &'a Keys,
    /// The server's clock at the answer.
    pub now: Timestamp,
    /// Pointers to arrays whose order does not count.
    pub unordered: &'a [String],
}

/// Compares a whole document; an empty list means that they agree.
pub fn compare(
    expect: &Map<String, Value>,
    got: &Map<String, Value>,
    context: &mut Context<'_>,
) -> Vec<Difference> {
    let mut got = Value::Object(got.clone());
    for pointer in context.unordered {
        if let Some(Value::Array(items)) = got.pointer_mut(pointer) {
            items.sort_by_cached_key(Value::to_string);
        }
    }
    let Value::Object(got) = got else {
        unreachable!("made above")
    };

    let mut comparison = Comparison {
        context,
        tokens: BTreeMap::new(),
        found: Vec::new(),
    };
    // Headers last: `<head:rt:1>` knows its token from the body.
    let mut members: Vec<&String> = expect
        .keys()
        .chain(got.keys().filter(|key| !expect.contains_key(*key)))
        .collect();
    members.sort_by_key(|key| (*key == "headers", *key));
    for member in members.into_iter().filter(|key| *key != "jwts") {
        comparison.member(&format!("/{member}"), expect.get(member), got.get(member));
    }
    if let Some(Value::Object(expected)) = expect.get("jwts") {
        comparison.tokens(expected);
    }
    comparison.found
}

struct Comparison<'a, 'b> {
    context: &'a mut Context<'b>,
    /// The tokens found, by their number within the step.
    tokens: BTreeMap<u32, String>,
    found: Vec<Difference>,
}

impl Comparison<'_, '_> {
    fn member(&mut self, at: &str, want: Option<&Value>, got: Option<&Value>) {
        match (want, got) {
            (Some(want), Some(got)) => self.value(at, want, got),
            (Some(Value::String(any)), None) if any.starts_with("<any:") => {
                self.differ(at, any, "nothing", "it is missing");
            }
            (Some(want), None) => self.differ(at, &short(want), "nothing", "it is missing"),
            (None, Some(got)) => self.differ(at, "nothing", &short(got), "it is not expected"),
            (None, None) => {}
        }
    }

    fn value(&mut self, at: &str, want: &Value, got: &Value) {
        match (want, got) {
            (Value::String(want), _) if want.starts_with("<any:") => {}
            (Value::Object(want), Value::Object(got)) => {
                let new = got.keys().filter(|key| !want.contains_key(*key));
                let mut members: Vec<&String> = want.keys().chain(new).collect();
                members.sort();
                for member in members {
                    let at = format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"));
                    self.member(&at, want.get(member), got.get(member));
                }
            }
            (Value::Array(want), Value::Array(got)) => {
                if want.len() != got.len() {
                    let expected = format!("{} items", want.len());
                    self.differ(
                        at,
                        &expected,
                        &format!("{}: {}", got.len(), short(&got.clone().into())),
                        "",
                    );
                }
                for (index, (want, got)) in want.iter().zip(got).enumerate() {
                    self.value(&format!("{at}/{index}"), want, got);
                }
            }
            (Value::String(text), _) if placeholders::contains_placeholder(text) => {
                self.text(at, text, got);
            }
            (Value::Number(want_number), Value::Number(got_number)) => {
                // 1 and 1.0 are one number.
                if want_number != got_number && want_number.as_f64() != got_number.as_f64() {
                    self.differ(at, &short(want), &short(got), "");
                }
            }
            _ if want == got => {}
            _ => self.differ(at, &short(want), &short(got), ""),
        }
    }

    fn text(&mut self, at: &str, want: &str, got: &Value) {
        let text = match got {
            Value::Number(number) if placeholders::is_number(want) && !number.is_f64() => {
                number.to_string()
            }
            Value::String(text) if !placeholders::is_number(want) => text.clone(),
            _ => return self.differ(at, want, &short(got), "another type"),
        };
        match self.context.names.fits(want, &text, self.context.now) {
            Ok(tokens) => self.tokens.extend(tokens),
            Err(why) => self.differ(at, &cut(want), &short(got), &why),
        }
    }

    /// Header, claims and signature of each token; a claim may hold a further token.
    fn tokens(&mut self, expected: &Map<String, Value>) {
        let mut expected: Vec<(u32, &Value)> = expected
            .iter()
            .map(|(n, want)| (n.parse().unwrap(), want))
            .collect();
        expected.sort_by_key(|(number, _)| *number);
        for (number, want) in expected {
            // A token that was not found has been reported where it should have stood.
            let Some(token) = self.tokens.get(&number).cloned() else {
                continue;
            };
            match token::open(&token, self.context.keys) {
                Some(got) => self.value(&format!("/jwts/{number}"), want, &got),
                None => self.differ(&format!("/jwts/{number}"), "a JSON Web Token", &token, ""),
            }
        }
    }

    fn differ(&mut self, pointer: &str, expected: &str, got: &str, why: &str) {
        let (pointer, expected, got, why) =
            (pointer.into(), expected.into(), got.into(), why.into());
        self.found.push(Difference {
            pointer,
            expected,
            got,
            why,
        });
    }
}

fn short(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(want: &Value, got: &Value, unordered: &[String]) -> Vec<String> {
        let mut context = Context {
            names: &mut Names::default(),
            keys: &Keys::default(),
            now: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            unordered,
        };
        let found = compare(
            want.as_object().unwrap(),
            got.as_object().unwrap(),
            &mut context,
        );
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_difference_is_named_by_its_place() {
        let want = json!({"status": 200, "body": {"a": [1, true], "b/c": "x", "n": null}});
        assert!(differences(&want, &want, &[]).is_empty());
        let got = json!({"status": 200, "body": {"a": [1, 1, 2], "b/c": "y", "more": 1}});
        assert_eq!(
            differences(&want, &got, &[]),
            [
                "/body/a: expected 2 items, got 3: [1,1,2]",
                "/body/a/1: expected true, got 1",
                r#"/body/b~1c: expected "x", got "y""#,
                "/body/more: expected nothing, got 1 (it is not expected)",
                "/body/n: expected null, got nothing (it is missing)",
            ]
        );
    }

    #[test]
    fn numbers_are_not_texts() {
        let want = json!({"body": {"exp": "<unix:now>", "in": "<approx:60>", "code": "<otp:1>"}});
        assert!(
            differences(
                &want,
                &json!({"body": {"exp": 1_800_000_000, "in": 59, "code": "123456"}}),
                &[]
            )
            .is_empty()
        );
        let got = json!({"body": {"exp": "1800000000", "in": 60.0, "code": 123_456}});
        assert_eq!(differences(&want, &got, &[]).len(), 3);
        assert!(differences(&json!({"body": 1}), &json!({"body": 1.0}), &[]).is_empty());
    }

    #[test]
    fn order_counts_unless_it_does_not() {
        let want = json!({"body": [{"a": 1}, {"a": 2}]});
        let got = json!({"body": [{"a": 2}, {"a": 1}]});
        assert_eq!(differences(&want, &got, &[]).len(), 2);
        assert!(differences(&want, &got, &["/body".into()]).is_empty());
    }
}
