//! Decoding into typed parameters by the rules of Go's `encoding/json`: names without regard to case, unknown
//! names ignored, the last duplicate wins, null changes nothing, and the first wrong type is reported at the end.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::syntax::is_space;

/// A struct of parameters, as [`params!`](crate::params) declares them.
pub trait Params: Member + Default {
    /// Reads the value of the member of this name, if there is one.
    fn member(&mut self, name: &str, decoder: &mut Decoder<'_>) -> bool;
}

/// A type that a parameter may have.
pub trait Member {
    /// What Go calls the type, in messages.
    const TYPE: &'static str;

    /// Takes the next value of the text, whatever it is.
    fn read(&mut self, decoder: &mut Decoder<'_>);
}

/// How deeply metadata may be nested. Go takes 10,000, Postgres fewer; this is what every reader of the
/// stored value can read back (`serde_json` stops at 128).
const MAX_KEPT_DEPTH: usize = 100;

/// What was wrong with values whose syntax is right.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Go's message.
    Type(String),
    /// A text has a NUL character in it, which Postgres cannot store; this is where it stands.
    Nul(String),
}

/// A reader of a text whose syntax was checked.
pub struct Decoder<'a> {
    rest: &'a [u8],
    /// The innermost struct and the members that led here.
    within: &'static str,
    path: Vec<&'static str>,
    /// The first value of a wrong type.
    mistyped: Option<String>,
    /// The first value that its type refused: Go stops there, and reports this rather than the other.
    refused: Option<String>,
    nul: Option<String>,
}

/// Decodes a text whose syntax was checked.
pub fn decode<T: Params>(text: &[u8]) -> Result<T, Mismatch> {
    let mut decoder = Decoder {
        rest: text,
        within: "",
        path: Vec::new(),
        mistyped: None,
        refused: None,
        nul: None,
    };
    let mut params = T::default();
    decoder.object(&mut params);
    match (decoder.refused.or(decoder.mistyped), decoder.nul) {
        (Some(message), _) => Err(Mismatch::Type(message)),
        (None, Some(place)) => Err(Mismatch::Nul(place)),
        (None, None) => Ok(params),
    }
}

/// The next value, if it is a plain one; composed values are left for the caller to walk.
pub(super) enum Next<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl Next<'_> {
    /// What Go calls it in messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

impl<'a> Decoder<'a> {
    /// Reads into member `name` of struct `within`.
    pub fn enter(&mut self, within: &'static str, name: &'static str, member: &mut impl Member) {
        let outer = std::mem::replace(&mut self.within, within);
        self.path.push(name);
        member.read(self);
        self.path.pop();
        self.within = outer;
    }

    /// Reads an object into a struct.
    pub fn object<T: Params>(&mut self, params: &mut T) {
        match self.next() {
            Next::Null => {}
            Next::Object => {
                while let Some(name) = self.next_name() {
                    if !params.member(&name, self) {
                        self.skip();
                    }
                }
            }
            other => self.mistyped(&other, T::TYPE),
        }
    }

    /// The start of the next value.
    pub(super) fn next(&mut self) -> Next<'a> {
        self.space();
        match self.rest.first() {
            Some(b'{') => Next::Object,
            Some(b'[') => Next::Array,
            Some(b'"') => Next::Text(self.string()),
            Some(b't') => self.word("true", Next::Bool(true)),
            Some(b'f') => self.word("false", Next::Bool(false)),
            Some(b'-' | b'0'..=b'9') => {
                let number =
                    |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = self.rest.iter().position(number).unwrap_or(self.rest.len());
                Next::Number(std::str::from_utf8(self.take(end)).unwrap_or_default())
            }
            _ => self.word("null", Next::Null),
        }
    }

    fn word(&mut self, word: &str, value: Next<'a>) -> Next<'a> {
        self.take(word.len());
        value
    }

    /// Goes to the next member of an object, or behind its end. Before the first member the brace is next.
    fn next_name(&mut self) -> Option<Cow<'a, str>> {
        if self.next_element(b'}') {
            let name = self.string();
            self.space();
            self.take(1);
            return Some(name);
        }
        None
    }

    /// Goes to the next element of an array or object, or behind its end.
    pub(super) fn next_element(&mut self, end: u8) -> bool {
        self.space();
        let is_end = self.take(1).first() == Some(&end);
        self.space();
        if !is_end && self.rest.first() == Some(&end) {
            self.take(1);
            return false;
        }
        !is_end
    }

    /// Passes a value without looking at it, however deep.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.next() {
                Next::Object | Next::Array => {
                    depth += 1;
                    self.take(1);
                }
                _ => {}
            }
            loop {
                self.space();
                match self.rest.first() {
                    _ if depth == 0 => return,
                    Some(b'}' | b']') => {
                        depth -= 1;
                        self.take(1);
                    }
                    Some(b',' | b':') => {
                        self.take(1);
                        break;
                    }
                    Some(_) => break,
                    None => return,
                }
            }
        }
    }

    /// Reads a string; what is no Unicode becomes U+FFFD.
    fn string(&mut self) -> Cow<'a, str> {
        self.take(1);
        let plain = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))
            .unwrap_or(self.rest.len());
        let text = lossy(self.take(plain));
        if self.take(1) == b"\"" {
            return text;
        }
        let mut text = text.into_owned();
        loop {
            text.push(self.escape());
            let plain = self
                .rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\'))
                .unwrap_or(self.rest.len());
            text.push_str(&lossy(self.take(plain)));
            if self.take(1) != b"\\" {
                return Cow::Owned(text);
            }
        }
    }

    /// Reads an escape behind its backslash.
    fn escape(&mut self) -> char {
        match self.take(1) {
            b"b" => '\u{8}',
            b"f" => '\u{c}',
            b"n" => '\n',
            b"r" => '\r',
            b"t" => '\t',
            b"u" => {
                let first = hex(self.take(4));
                let second = match (first, self.rest) {
                    (0xd800..0xdc00, [b'\\', b'u', digits @ ..]) => {
                        hex(digits.get(..4).unwrap_or_default())
                    }
                    _ => 0,
                };
                if (0xdc00..0xe000).contains(&second) {
                    self.take(6);
                    return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                        .unwrap_or('\u{fffd}');
                }
                char::from_u32(first).unwrap_or('\u{fffd}')
            }
            [other] => char::from(*other),
            _ => '\u{fffd}',
        }
    }

    fn space(&mut self) {
        self.take(self.rest.iter().take_while(|byte| is_space(**byte)).count());
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Notes a value of a wrong type, and passes it.
    pub(super) fn mistyped(&mut self, value: &Next<'_>, wanted: &str) {
        if matches!(value, Next::Array | Next::Object) {
            self.skip();
        }
        self.note(value.kind(), wanted);
    }

    pub(super) fn note(&mut self, value: &str, wanted: &str) {
        let place = match self.within {
            "" => "value".to_owned(),
            within => format!("struct field {within}.{}", self.path.join(".")),
        };
        self.mistyped.get_or_insert_with(|| {
            format!("json: cannot unmarshal {value} into Go {place} of type {wanted}")
        });
    }

    /// Notes a value that its type refuses, in the type's own words.
    pub(super) fn refuse(&mut self, message: impl FnOnce() -> String) {
        self.refused.get_or_insert_with(message);
    }

    /// Passes a null, if that is next.
    pub(super) fn take_null(&mut self) -> bool {
        self.space();
        let is_null = self.rest.first() == Some(&b'n');
        if is_null {
            self.take("null".len());
        }
        is_null
    }

    pub(super) fn without_nul(&mut self, text: Cow<'a, str>) -> String {
        if text.contains('\0') {
            self.nul.get_or_insert_with(|| self.path.join("."));
        }
        text.into_owned()
    }

    /// Reads any value. Numbers are Go's float64.
    fn any(&mut self, depth: usize) -> Value {
        match self.next() {
            Next::Null => Value::Null,
            Next::Bool(value) => Value::Bool(value),
            Next::Text(text) => Value::String(self.without_nul(text)),
            Next::Number(text) => self.float(text),
            Next::Array | Next::Object if depth > MAX_KEPT_DEPTH => {
                self.skip();
                let place = self.path.join(".");
                self.refuse(|| format!("{place} is nested deeper than {MAX_KEPT_DEPTH} levels"));
                Value::Null
            }
            Next::Array => {
                let mut array = Vec::new();
                while self.next_element(b']') {
                    array.push(self.any(depth + 1));
                }
                Value::Array(array)
            }
            Next::Object => {
                let mut object = Map::new();
                self.members(&mut object, depth);
                Value::Object(object)
            }
        }
    }

    pub(super) fn members(&mut self, object: &mut Map<String, Value>, depth: usize) {
        while let Some(name) = self.next_name() {
            let name = self.without_nul(name);
            let value = self.any(depth + 1);
            object.insert(name, value);
        }
    }

    /// A number as Go's float64 would keep and print it: `1.0` is 1, and above 2^53 digits are lost.
    fn float(&mut self, text: &str) -> Value {
        let float = text.parse::<f64>().unwrap_or(f64::INFINITY);
        if float.is_infinite() {
            self.note(&format!("number {text}"), "float64");
            return Value::Null;
        }
        exact_integer(float).map_or_else(
            || Number::from_f64(float).map_or(Value::Null, Value::Number),
            Value::from,
        )
    }
}

/// A float that is an integer, and small enough to be an exact one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "integers below 2^53 in either direction fit"
)]
fn exact_integer(float: f64) -> Option<i64> {
    let is_integer = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
    (is_integer && !(float == 0.0 && float.is_sign_negative())).then_some(float as i64)
}

/// Reads UTF-8 with one U+FFFD for each byte that is none (Rust's own function would merge some).
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let chunks = bytes.utf8_chunks();
    Cow::Owned(
        chunks
            .map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len()))
            .collect(),
    )
}

fn hex(digits: &[u8]) -> u32 {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}

/// Whether a member's name in a text means this one: equal but for case, in Unicode's simple folding.
#[must_use]
pub fn is_named(given: &str, name: &str) -> bool {
    given.eq_ignore_ascii_case(name)
        || !given.is_ascii()
            && given
                .chars()
                .map(|character| match character {
                    'ſ' => 's',
                    '\u{212a}' => 'k',
                    other => other.to_ascii_lowercase(),
                })
                .eq(name.chars().map(|character| character.to_ascii_lowercase()))
}
