//! Constants as Go writes them: quoted strings, characters, numbers.

/// A number as it stands in a template: what it is follows from how it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// The text of `"..."`, `` `...` `` or `'x'`; `None` when an escape is wrong.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let mut chars = quoted.chars();
    let quote = chars.next()?;
    chars.next_back().filter(|last| *last == quote)?;
    let inner = chars.as_str();
    if quote == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            escape(&mut chars, quote, &mut bytes)?;
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    // `\xff` may stand for a byte that is no text; a mail is text.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// One escape sequence after its backslash.
fn escape(chars: &mut std::str::Chars<'_>, quote: char, out: &mut Vec<u8>) -> Option<()> {
    let c = chars.next()?;
    let simple = match c {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        '\\' => b'\\',
        '\'' | '"' if c == quote => u8::try_from(c).ok()?,
        'x' => u8::try_from(digits(chars, 2, 16)?).ok()?,
        '0'..='7' => u8::try_from(c.to_digit(8)? * 64 + digits(chars, 2, 8)?).ok()?,
        'u' | 'U' => {
            let length = if c == 'u' { 4 } else { 8 };
            let c = char::from_u32(digits(chars, length, 16)?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    out.push(simple);
    Some(())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0, |value: u32, _| {
        value
            .checked_mul(radix)?
            .checked_add(chars.next()?.to_digit(radix)?)
    })
}

/// A number constant; `None` for what is none (and for imaginary numbers and hexadecimal floats, which no mail needs).
pub(super) fn number(text: &str) -> Option<Number> {
    if text.ends_with('_') || text.contains("__") {
        return None;
    }
    if let Some(value) = integer(text) {
        return Some(Number::Int(value));
    }
    let plain = text.replace('_', "");
    if plain.contains(['x', 'X'])
        || !plain.starts_with([
            '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ])
    {
        return None;
    }
    // `08` is no integer, and not meant to be a float.
    if !plain.contains(['.', 'e', 'E']) {
        return None;
    }
    plain
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .map(Number::Float)
}

fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// The code point of `'x'`.
pub(super) fn character(quoted: &str) -> Option<i64> {
    let text = unquote(quoted)?;
    let mut chars = text.chars();
    let c = chars.next()?;
    chars.next().is_none().then(|| i64::from(u32::from(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text() {
        assert_eq!(
            unquote(r#""a\n\t\"\\ü\u00e9\x41\101""#).as_deref(),
            Some("a\n\t\"\\üéAA")
        );
        assert_eq!(unquote(r"`a\n`").as_deref(), Some(r"a\n"));
        assert_eq!(unquote(r#""\q""#), None);
        assert_eq!(unquote(r#""\'""#), None);
        assert_eq!(character("'a'"), Some(97));
        assert_eq!(character(r"'\''"), Some(39));
        assert_eq!(character("'ab'"), None);
    }

    #[test]
    fn numbers() {
        for (text, value) in [
            ("5", 5),
            ("-3", -3),
            ("0x1F", 31),
            ("010", 8),
            ("0b11", 3),
            ("1_000", 1000),
        ] {
            assert_eq!(number(text), Some(Number::Int(value)), "{text}");
        }
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-2.0", -2.0)] {
            assert_eq!(number(text), Some(Number::Float(value)), "{text}");
        }
        for text in [
            "5x", "1i", "0x", "--1", "+-1", "nan", "inf", "1e999", "08", "2_", "1__0",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
