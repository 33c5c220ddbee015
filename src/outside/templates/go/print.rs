//! `print` and `println`: Go's `fmt.Sprint` and `fmt.Sprintln`.

use super::value::Value;

/// `fmt.Sprint`: a blank between two operands when neither is a string.
pub(super) fn sprint(values: &[Value<'_>]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        let text = matches!(value, Value::Str(_));
        if !(after_text || text) {
            out.push(' ');
        }
        value.print(&mut out);
        after_text = text;
    }
    out
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(values: &[Value<'_>]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        value.print(&mut out);
    }
    out.push('\n');
    out
}
