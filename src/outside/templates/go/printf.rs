//! `printf`: the part of Go's `fmt.Sprintf` that values from JSON can reach.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::number;
use super::value::{Value, sorted};

/// Longest width or precision that Go takes.
const MAX_WIDTH: usize = 1_000_000;

/// `fmt.Sprintf`; mistakes show in the text, as Go's do. `None` when the text would be longer than `limit`.
pub(super) fn sprintf(format: &str, values: &[Value<'_>], limit: usize) -> Option<String> {
    let mut printer = Printer {
        values,
        next: 0,
        reordered: false,
        out: String::new(),
    };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (text, directive) = rest.split_at_checked(at)?;
        printer.out.push_str(text);
        rest = printer.directive(directive.get(1..)?, limit)?;
        if printer.out.len() > limit {
            return None;
        }
    }
    printer.out.push_str(rest);
    printer.extra();
    (printer.out.len() <= limit).then_some(printer.out)
}

#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a directive has five flags")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'v, 'a> {
    values: &'v [Value<'a>],
    next: usize,
    reordered: bool,
    out: String,
}

impl Printer<'_, '_> {
    /// One directive after its `%`; returns what follows it.
    fn directive<'f>(&mut self, mut rest: &'f str, limit: usize) -> Option<&'f str> {
        let mut spec = Spec::default();
        loop {
            match rest.chars().next() {
                Some('-') => spec.minus = true,
                Some('+') => spec.plus = true,
                Some('#') => spec.sharp = true,
                Some(' ') => spec.space = true,
                Some('0') => spec.zero = true,
                _ => break,
            }
            rest = rest.get(1..)?;
        }
        let mut good = self.index(&mut rest);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
        } else {
            spec.width = digits(&mut rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            good &= self.index(&mut rest);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match self.star() {
                    Some(precision) if precision >= 0 => {
                        spec.precision = usize::try_from(precision).ok();
                    }
                    Some(_) => {}
                    None => self.out.push_str("%!(BADPREC)"),
                }
            } else {
                spec.precision = Some(digits(&mut rest).unwrap_or(0));
            }
        }
        good &= self.index(&mut rest);
        if spec
            .width
            .max(spec.precision)
            .is_some_and(|length| length > limit.min(MAX_WIDTH))
        {
            return None;
        }
        let mut chars = rest.chars();
        let Some(verb) = chars.next() else {
            self.out.push_str("%!(NOVERB)");
            return Some("");
        };
        if verb == '%' {
            self.out.push('%');
        } else if !good {
            _ = write!(self.out, "%!{verb}(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            self.value(verb, spec, value);
        } else {
            _ = write!(self.out, "%!{verb}(MISSING)");
        }
        Some(chars.as_str())
    }

    /// `[2]`: the next directive takes that operand.
    fn index(&mut self, rest: &mut &str) -> bool {
        let Some(inner) = rest.strip_prefix('[') else {
            return true;
        };
        let Some((number, after)) = inner.split_once(']') else {
            return false;
        };
        *rest = after;
        self.reordered = true;
        match number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1))
        {
            Some(at) if at < self.values.len() => {
                self.next = at;
                true
            }
            _ => false,
        }
    }

    /// The operand that a `*` takes.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        match value {
            Some(Value::Int(value)) => {
                Some(*value).filter(|value| value.unsigned_abs() <= 1_000_000)
            }
            Some(Value::Byte(value)) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// Operands that no directive asked for.
    fn extra(&mut self) {
        let extra = self.values.get(self.next..).unwrap_or_default();
        if self.reordered || extra.is_empty() {
            return;
        }
        self.out.push_str("%!(EXTRA ");
        for (at, value) in extra.iter().enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            if value.is_nothing() {
                self.out.push_str("<nil>");
            } else {
                self.out.push_str(value.type_name());
                self.out.push('=');
                value.print(&mut self.out);
            }
        }
        self.out.push(')');
    }

    fn value(&mut self, verb: char, spec: Spec, value: &Value<'_>) {
        match (value, verb) {
            (value, 'T') => self.pad(value.type_name(), spec),
            (Value::Missing | Value::Nil, 'v') => self.pad("<nil>", spec),
            (Value::List(values), _) if verb != 'p' => {
                self.out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        self.out.push(' ');
                    }
                    self.element(verb, spec, value);
                }
                self.out.push(']');
            }
            (Value::Map(members), _) if verb != 'p' => {
                self.out.push_str("map[");
                for (at, (name, value)) in sorted(members).into_iter().enumerate() {
                    if at > 0 {
                        self.out.push(' ');
                    }
                    self.value(verb, spec, &Value::text(name.as_str()));
                    self.out.push(':');
                    self.element(verb, spec, value);
                }
                self.out.push(']');
            }
            (Value::Bool(value), 't' | 'v') => self.pad(&value.to_string(), spec),
            (Value::Str(value), _) if self.text(verb, spec, value) => {}
            (Value::Int(value), _) if self.integer(verb, spec, i128::from(*value)) => {}
            (Value::Byte(value), _) if self.integer(verb, spec, i128::from(*value)) => {}
            (Value::Float(value), _) if self.float(verb, spec, *value) => {}
            _ => self.bad(verb, spec, value),
        }
    }

    /// Inside a list or map a null is never wrong.
    fn element(&mut self, verb: char, spec: Spec, value: &Json) {
        if value.is_null() {
            self.out.push_str("<nil>");
        } else {
            self.value(verb, spec, &Value::from_json(value));
        }
    }

    /// A verb that does not fit the value, which is shown after its type.
    fn bad(&mut self, verb: char, spec: Spec, value: &Value<'_>) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        if value.is_nothing() {
            self.out.push_str("<nil>");
        } else {
            self.out.push_str(value.type_name());
            self.out.push('=');
            self.value('v', spec, value);
        }
        self.out.push(')');
    }

    fn text(&mut self, verb: char, spec: Spec, value: &str) -> bool {
        let cut: String = match spec.precision {
            Some(most) if matches!(verb, 's' | 'v' | 'q') => value.chars().take(most).collect(),
            _ => value.to_owned(),
        };
        match verb {
            'v' if spec.sharp => self.pad(&quote(&cut), spec),
            's' | 'v' => self.pad(&cut, spec),
            'q' if spec.sharp && !cut.contains(['`', '\n', '\r']) => {
                self.pad(&format!("`{cut}`"), spec);
            }
            'q' => self.pad(&quote(&cut), spec),
            'x' | 'X' => {
                let bytes = value.as_bytes();
                let bytes = bytes
                    .get(..spec.precision.unwrap_or(bytes.len()))
                    .unwrap_or(bytes);
                let separator = if spec.space { " " } else { "" };
                let text: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let text = text.join(separator);
                self.pad(
                    &if verb == 'X' {
                        text.to_uppercase()
                    } else {
                        text
                    },
                    spec,
                );
            }
            _ => return false,
        }
        true
    }

    fn integer(&mut self, verb: char, spec: Spec, value: i128) -> bool {
        let character = || {
            u32::try_from(value)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let magnitude = value.unsigned_abs();
        let digits = match verb {
            'd' | 'v' => magnitude.to_string(),
            'b' => format!("{magnitude:b}"),
            'o' => format!("{}{magnitude:o}", if spec.sharp { "0" } else { "" }),
            'O' => format!("0o{magnitude:o}"),
            'x' => format!("{}{magnitude:x}", if spec.sharp { "0x" } else { "" }),
            'X' => format!("{}{magnitude:X}", if spec.sharp { "0X" } else { "" }),
            'c' => {
                self.pad(&character().to_string(), spec);
                return true;
            }
            'q' => {
                self.pad(&format!("'{}'", escaped(character(), '\'')), spec);
                return true;
            }
            'U' => {
                self.pad(&format!("U+{magnitude:04X}"), spec);
                return true;
            }
            _ => return false,
        };
        let digits = match spec.precision {
            Some(0) if value == 0 => String::new(),
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        self.signed(
            value < 0,
            &digits,
            Spec {
                zero: spec.zero && spec.precision.is_none(),
                ..spec
            },
        );
        true
    }

    fn float(&mut self, verb: char, spec: Spec, value: f64) -> bool {
        let magnitude = value.abs();
        let text = match verb {
            'v' | 'g' => number::general(magnitude, spec.precision),
            'G' => number::general(magnitude, spec.precision).to_uppercase(),
            'e' => number::scientific(magnitude, Some(spec.precision.unwrap_or(6))),
            'E' => number::scientific(magnitude, Some(spec.precision.unwrap_or(6))).to_uppercase(),
            'f' | 'F' => number::fixed(magnitude, Some(spec.precision.unwrap_or(6))),
            _ => return false,
        };
        self.signed(value.is_sign_negative(), &text, spec);
        true
    }

    /// A number with its sign; zeros go between the two.
    fn signed(&mut self, negative: bool, digits: &str, spec: Spec) {
        let sign = match (negative, spec.plus, spec.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        if spec.zero && !spec.minus {
            let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
            _ = write!(self.out, "{sign}{digits:0>width$}");
        } else {
            self.pad(
                &format!("{sign}{digits}"),
                Spec {
                    zero: false,
                    ..spec
                },
            );
        }
    }

    fn pad(&mut self, text: &str, spec: Spec) {
        let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
        let filler = if spec.zero && !spec.minus { "0" } else { " " }.repeat(missing);
        if spec.minus {
            self.out.push_str(text);
            self.out.push_str(&filler);
        } else {
            self.out.push_str(&filler);
            self.out.push_str(text);
        }
    }
}

fn digits(rest: &mut &str) -> Option<usize> {
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = rest.get(..rest.len() - after.len())?;
    *rest = after;
    if number.is_empty() {
        None
    } else {
        Some(number.parse().unwrap_or(usize::MAX))
    }
}

/// `strconv.Quote`.
fn quote(text: &str) -> String {
    let inner: String = text.chars().map(|c| escaped(c, '"')).collect();
    format!("\"{inner}\"")
}

fn escaped(c: char, quote: char) -> String {
    match c {
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\u{c}' => "\\f".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\u{b}' => "\\v".into(),
        '\\' => "\\\\".into(),
        c if c == quote => format!("\\{c}"),
        c if is_printable(c) => c.into(),
        '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        '\u{80}'..='\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        _ => format!("\\U{:08x}", u32::from(c)),
    }
}

/// Nearly `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the plain blank.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || c.is_alphanumeric() || c.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printf_follows_fmt() {
        let text = |format: &str, values: &[Value<'_>]| sprintf(format, values, 1000).unwrap();
        assert_eq!(
            text(
                "%06s|%-6s|%6s|%q",
                &["ab", "ab", "ab", "a\"\u{a0}é\0"].map(Value::text)
            ),
            "0000ab|ab    |    ab|\"a\\\"\\u00a0é\\x00\""
        );
        assert_eq!(
            text(
                "%5.1f|%+d|%x|%g|%v",
                &[
                    Value::Float(3.24159),
                    Value::Int(5),
                    Value::Int(255),
                    Value::Float(1e6),
                    Value::Float(123_456.0)
                ]
            ),
            "  3.2|+5|ff|1e+06|123456"
        );
        assert_eq!(
            text("%d|%s|%z", &[Value::text("x"), Value::Int(5)]),
            "%!d(string=x)|%!s(int=5)|%!z(MISSING)"
        );
        assert_eq!(text("%s", &[Value::Nil]), "%!s(<nil>)");
        assert_eq!(
            text("a", &[Value::Int(1), Value::text("b")]),
            "a%!(EXTRA int=1, string=b)"
        );
        assert_eq!(
            text("%[2]s %[1]s 100%%", &["a", "b"].map(Value::text)),
            "b a 100%"
        );
        assert_eq!(
            text(
                "%08.3f|% d|%5t|%",
                &[Value::Float(-3.24159), Value::Int(5), Value::Bool(true)]
            ),
            "-003.242| 5| true|%!(NOVERB)"
        );
    }

    #[test]
    fn a_text_longer_than_allowed_is_not_made() {
        assert_eq!(sprintf("%1000d", &[Value::Int(1)], 100), None);
        assert_eq!(
            sprintf(
                "%s%s",
                &[Value::text("a".repeat(60)), Value::text("b".repeat(60))],
                100
            ),
            None
        );
    }
}
