//! The types that a parameter may have.

use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::decode::{Decoder, Member, Next};

impl Member for String {
    const TYPE: &'static str = "string";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => {}
            Next::Text(text) => *self = decoder.without_nul(text),
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

/// A secret is hashed or compared, never stored as it is: NUL is a character like others.
impl Member for SecretString {
    const TYPE: &'static str = "string";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => {}
            Next::Text(text) => *self = text.into_owned().into(),
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

impl Member for bool {
    const TYPE: &'static str = "bool";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => {}
            Next::Bool(value) => *self = value,
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

impl Member for i64 {
    const TYPE: &'static str = "int";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => {}
            Next::Number(text) => match text.parse() {
                Ok(value) => *self = value,
                Err(_) => decoder.note(&format!("number {text}"), Self::TYPE),
            },
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

/// Objects given twice are merged, as Go decodes into the map that is there.
impl Member for Map<String, Value> {
    const TYPE: &'static str = "map[string]interface {}";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => self.clear(),
            Next::Object => decoder.members(self, 1),
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

impl Member for Vec<String> {
    const TYPE: &'static str = "[]string";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => self.clear(),
            Next::Array => {
                self.clear();
                while decoder.next_element(b']') {
                    let mut element = String::new();
                    element.read(decoder);
                    self.push(element);
                }
            }
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

impl Member for Uuid {
    const TYPE: &'static str = "uuid.UUID";

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        match decoder.next() {
            Next::Null => {}
            Next::Text(text) => match Self::try_parse(&text) {
                Ok(id) => *self = id,
                Err(_) => decoder.refuse(|| refusal_of_uuid(&text)),
            },
            other => decoder.mistyped(&other, Self::TYPE),
        }
    }
}

/// The words of GoTrue's UUID library.
fn refusal_of_uuid(text: &str) -> String {
    match text.len() {
        32 | 34 | 36 | 38 | 41 | 45 => format!("uuid: incorrect UUID format in string {text:?}"),
        length => format!("uuid: incorrect UUID length {length} in string {text:?}"),
    }
}

/// A pointer in Go: null takes it away, anything else is read into it.
impl<T: Member + Default> Member for Option<T> {
    const TYPE: &'static str = T::TYPE;

    fn read(&mut self, decoder: &mut Decoder<'_>) {
        if decoder.take_null() {
            *self = None;
        } else {
            self.get_or_insert_default().read(decoder);
        }
    }
}
