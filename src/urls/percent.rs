//! Percent-encoding by Go's tables: which bytes stay as they are depends on the part of the URL.

use std::borrow::Cow;

use super::Malformed;

/// A part of a URL with its own rules of escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole path: slashes stay.
    Path,
    /// Host with port.
    Host,
    /// The zone of an IPv6 address.
    Zone,
    /// User name or password.
    User,
    /// A key or value of a query or form: a blank is `+`.
    Query,
    /// After `#`.
    Fragment,
}

impl Part {
    /// Whether this byte stands for itself here.
    #[must_use]
    pub fn keeps(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            return true;
        }
        let reserved = matches!(
            byte,
            b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@'
        );
        match self {
            Self::Path => reserved && byte != b'?',
            Self::Host | Self::Zone => {
                matches!(
                    byte,
                    b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
                ) || matches!(byte, b':' | b'[' | b']' | b'<' | b'>' | b'"')
            }
            Self::User => reserved && !matches!(byte, b'@' | b'/' | b'?' | b':'),
            Self::Query => false,
            Self::Fragment => reserved || matches!(byte, b'!' | b'(' | b')' | b'*'),
        }
    }
}

/// Escapes what may not stand in this part; hexadecimal digits in upper case.
#[must_use]
pub fn escape(bytes: &[u8], part: Part) -> Cow<'_, str> {
    if bytes.iter().all(|&byte| part.keeps(byte))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(bytes.len() + bytes.len() / 2);
    for &byte in bytes {
        if part.keeps(byte) {
            escaped.push(char::from(byte));
        } else if byte == b' ' && part == Part::Query {
            escaped.push('+');
        } else {
            escaped.push('%');
            for digit in [byte >> 4, byte & 15] {
                escaped.extend(
                    char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    Cow::Owned(escaped)
}

/// Undoes [`escape`]; refuses a `%` without two digits, and in a host everything that may not stand there.
pub fn unescape(text: &str, part: Part) -> Result<Cow<'_, [u8]>, Malformed> {
    let is_host = matches!(part, Part::Host | Part::Zone);
    let special = |byte: u8| {
        byte == b'%'
            || byte == b'+' && part == Part::Query
            || is_host && byte.is_ascii() && !part.keeps(byte)
    };
    if !text.bytes().any(special) {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'%' => {
                let [high, low, tail @ ..] = tail else {
                    return Err(BAD_ESCAPE);
                };
                let byte = hex(*high)? << 4 | hex(*low)?;
                let allowed = match part {
                    Part::Host => byte >= 0x80 || byte == b'%',
                    Part::Zone => byte == b'%' || byte == b' ' || part.keeps(byte),
                    _ => true,
                };
                if !allowed {
                    return Err(BAD_ESCAPE);
                }
                plain.push(byte);
                rest = tail;
            }
            b'+' if part == Part::Query => plain.push(b' '),
            byte if is_host && special(*byte) => {
                return Err(Malformed("invalid character in host name"));
            }
            byte => plain.push(*byte),
        }
    }
    Ok(Cow::Owned(plain))
}

const BAD_ESCAPE: Malformed = Malformed("invalid URL escape");

fn hex(digit: u8) -> Result<u8, Malformed> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(BAD_ESCAPE),
    }
}
