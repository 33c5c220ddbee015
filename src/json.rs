//! JSON as Go's `encoding/json` writes it: `<`, `>`, `&` and the line separators escaped, floats in Go's notation,
//! times without trailing zeros, no newline at the end. (Objects from maps are sorted because `serde_json`'s are.)

use std::io;

use chrono::{Datelike, Timelike};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{Error, UNEXPECTED_FAILURE, failed};

/// Writes a value as Go would.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    // A token answer, the longest common one, has about 2 KiB.
    let mut text = Vec::with_capacity(2048);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, GoFormatter);
    value
        .serialize(&mut serializer)
        .map_err(|error| failed(UNEXPECTED_FAILURE, error))?;
    Ok(text)
}

/// The members of a JSON object.
#[must_use]
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// GoTrue's merge of metadata: each given key replaces, null removes.
pub fn merge(target: &mut Map<String, Value>, updates: Map<String, Value>) {
    for (key, value) in updates {
        if value.is_null() {
            target.remove(&key);
        } else {
            target.insert(key, value);
        }
    }
}

/// A moment in an answer: RFC 3339 in UTC, the fraction without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Time {
    /// By hand, as answers hold many of them.
    fn text(self) -> String {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let mut text = String::with_capacity("2026-11-21T10:00:00.123456789Z".len());
        let mut put = |number: u32, digits: u32, then: char| {
            for place in (0..digits).rev() {
                text.extend(char::from_digit(number / 10_u32.pow(place) % 10, 10));
            }
            text.push(then);
        };
        put(date.year().unsigned_abs(), 4, '-');
        put(date.month(), 2, '-');
        put(date.day(), 2, 'T');
        put(time.hour(), 2, ':');
        put(time.minute(), 2, ':');
        // chrono shows a leap second as a fraction above one second; Go has none.
        let mut fraction = time.nanosecond().min(999_999_999);
        put(time.second(), 2, if fraction > 0 { '.' } else { 'Z' });
        if fraction > 0 {
            let mut digits = 9;
            while fraction % 10 == 0 {
                fraction /= 10;
                digits -= 1;
            }
            put(fraction, digits, 'Z');
        }
        text
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !(0..=9999).contains(&self.0.year()) {
            return Err(S::Error::custom("a year outside of RFC 3339"));
        }
        serializer.serialize_str(&self.text())
    }
}

/// Numbers in metadata are float64 in Go; beyond this (2^53) that shows. No other number of ours is that large.
const EXACT: u64 = 1 << 53;

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() <= EXACT {
            return write!(writer, "{value}");
        }
        #[expect(clippy::cast_precision_loss, reason = "Go loses the same digits")]
        self.write_f64(writer, value as f64)
    }

    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value <= EXACT {
            return write!(writer, "{value}");
        }
        #[expect(clippy::cast_precision_loss, reason = "Go loses the same digits")]
        self.write_f64(writer, value as f64)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let sign = if size < 1.0 { "" } else { "+" };
            return writer.write_all(text.replace('e', &format!("e{sign}")).as_bytes());
        }
        write!(writer, "{value}")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // 0xe2 begins the line separators, and little else that is common. To look at every byte lets the compiler
        // look at many at once.
        let special = |byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2);
        if !(fragment.bytes()).fold(false, |found, byte| found | special(byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            let code = characters.next().map_or(0, u32::from);
            write!(writer, "\\u{code:04x}")?;
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Time, to_vec};

    fn go(value: impl serde::Serialize) -> String {
        String::from_utf8(to_vec(&value).unwrap()).unwrap()
    }

    #[test]
    fn text_is_safe_inside_html() {
        let text = "<a href=\"x\">&\u{2028}\u{2029}'\u{8}\u{c}\n\r\t\u{1}\u{7f}/\\é";
        let expected = "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u2028\\u2029'\\b\\f\\n\\r\\t\\u0001\u{7f}/\\\\é\"";
        assert_eq!(go(text), expected);
        assert_eq!(go(json!({"<": 1})), r#"{"\u003c":1}"#);
    }

    #[test]
    fn keys_are_sorted() {
        assert_eq!(
            go(json!({"b": 1, "a": {"d": [], "c": {}}, "B": null})),
            r#"{"B":null,"a":{"c":{},"d":[]},"b":1}"#
        );
    }

    #[test]
    fn numbers_are_gos() {
        let floats = [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
        ];
        for (float, expected) in floats {
            assert_eq!(go(float), expected);
        }
        assert_eq!(go(9_007_199_254_740_992_u64), "9007199254740992");
        assert_eq!(
            go(9_007_199_254_740_993_u64),
            "9007199254740992",
            "metadata of others, read from the database"
        );
        assert_eq!(go(i64::MIN), "-9223372036854776000");
        assert_eq!(go(-3), "-3");
    }

    #[test]
    fn times_lose_trailing_zeros() {
        let cases = [
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            ("2026-11-21T10:00:00.120000Z", "2026-11-21T10:00:00.12Z"),
            ("2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05.000001Z"),
            (
                "2026-01-02T03:04:05.123456789Z",
                "2026-01-02T03:04:05.123456789Z",
            ),
            ("2026-01-02T05:04:05.5+02:00", "2026-01-02T03:04:05.5Z"),
            ("0099-01-02T03:04:05Z", "0099-01-02T03:04:05Z"),
        ];
        for (time, expected) in cases {
            assert_eq!(go(Time(time.parse().unwrap())), format!("{expected:?}"));
        }
    }

    proptest! {
        #[test]
        fn readers_get_the_same_text(text in ".{0,40}") {
            prop_assert_eq!(serde_json::from_str::<Value>(&go(&text)).unwrap(), Value::from(text));
        }

        #[test]
        fn readers_get_the_same_number(bits in any::<u64>()) {
            let float = f64::from_bits(bits);
            if float.is_finite() {
                prop_assert_eq!(go(float).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }
}
