//! What escapers do to a value. The tables are Go's, so that a mail comes out byte for byte the same.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::action::Escaper;
use super::context::{AttributeKind, attribute_kind};
use super::value::Value;
use super::{css, printf};

/// Written in place of what is not safe at its place; odd enough to be searched for.
const UNSAFE: &str = "ZgotmplZ";

/// Runs the escapers over a value, first to last.
pub(super) fn apply(escapers: &[Escaper], value: &Value<'_>) -> String {
    let mut escapers = escapers.iter();
    let mut text = match escapers.next() {
        Some(Escaper::JsValue) => js_value(value),
        Some(first) => one(*first, value_text(*first, value)),
        None => value_text(Escaper::Html, value).into_owned(),
    };
    for escaper in escapers {
        text = one(*escaper, Cow::Owned(text));
    }
    text
}

/// The value as text: nothing at all for what is not there.
fn value_text<'v>(first: Escaper, value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        // The functions of the text package show it.
        _ if value.is_nothing()
            && matches!(first, Escaper::PredefinedHtml | Escaper::PredefinedUrlquery) =>
        {
            Cow::Borrowed("<no value>")
        }
        _ if value.is_nothing() => Cow::Borrowed(""),
        _ => {
            let mut text = String::new();
            value.print(&mut text);
            Cow::Owned(text)
        }
    }
}

fn one(escaper: Escaper, text: Cow<'_, str>) -> String {
    match escaper {
        Escaper::Html => html(&text),
        Escaper::NoSpace => no_space(&text),
        Escaper::Name => name(&text),
        Escaper::Comment => String::new(),
        Escaper::JsValue => js_value(&Value::Str(text)),
        Escaper::JsString => js_string(&text, &['"', '`', '&', '\'', '+', '<', '>'], &[]),
        Escaper::JsTemplate => js_string(
            &text,
            &['"', '`', '&', '\'', '+', '<', '>', '$', '{', '}'],
            &[],
        ),
        Escaper::JsRegexp => js_regexp(&text),
        Escaper::Css => css_string(&text),
        Escaper::CssValue => css_value(&text),
        Escaper::UrlFilter => url_filter(text),
        Escaper::UrlNormalizer => url(&text, true),
        Escaper::Url => url(&text, false),
        Escaper::Srcset => srcset(&text),
        Escaper::PredefinedHtml => predefined_html(&text),
        Escaper::PredefinedUrlquery => predefined_urlquery(&text),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '+' => out.push_str("&#43;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn no_space(text: &str) -> String {
    if text.is_empty() {
        return UNSAFE.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push_str("&#xfffd;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t'..='\r' | ' ' | '"' | '\'' | '+' | '=' | '`' => {
                _ = write!(out, "&#{};", u32::from(c));
            }
            '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' => {
                _ = write!(out, "&#x{:x};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn name(text: &str) -> String {
    let name = text.to_lowercase();
    let plain = !name.is_empty()
        && attribute_kind(&name) == AttributeKind::Plain
        && name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if plain { name } else { UNSAFE.into() }
}

/// A JavaScript expression: JSON, set apart from the words around it.
fn js_value(value: &Value<'_>) -> String {
    let mut json = String::new();
    value.json(&mut json);
    let word =
        |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '$' | '_'));
    if word(json.chars().next()) || word(json.chars().next_back()) {
        format!(" {json} ")
    } else {
        json
    }
}

/// Text inside quotes: control characters and the `wide` ones as `\u....`, the `marked` ones behind a backslash.
fn js_string(text: &str, wide: &[char], marked: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c if wide.contains(&c) => _ = write!(out, "\\u{:04x}", u32::from(c)),
            '/' | '\\' => out.extend(['\\', c]),
            c if marked.contains(&c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn js_regexp(text: &str) -> String {
    if text.is_empty() {
        // `//` would start a comment.
        return "(?:)".into();
    }
    let special = [
        '$', '(', ')', '*', '-', '.', '?', '[', ']', '^', '{', '|', '}',
    ];
    js_string(text, &['"', '&', '\'', '+', '<', '>'], &special)
}

fn css_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\0' | '\t' | '\n' | '\u{c}' | '\r' | '"' | '&' | '\'' | '(' | ')' | '+' | '/'
            | ':' | ';' | '<' | '>' | '{' | '}' => {
                _ = write!(out, "\\{:x}", u32::from(c));
                // The blank ends the number where more digits (or a blank to be eaten) follow.
                if chars
                    .peek()
                    .is_none_or(|next| next.is_ascii_hexdigit() || css::is_space(*next))
                {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Lets plain values through (`10px`, `#fff`, `inherit`), nothing that could end a declaration or run.
fn css_value(text: &str) -> String {
    let decoded = css::decode(text);
    let mut word = String::new();
    let mut before = ' ';
    for (at, c) in decoded.char_indices() {
        match c {
            '\0' | '"' | '\'' | '(' | ')' | '/' | ';' | '@' | '[' | '\\' | ']' | '`' | '{'
            | '}' | '<' | '>' => {
                return UNSAFE.into();
            }
            '-' if at > 0 && before == '-' => return UNSAFE.into(),
            '-' => {}
            c if c.is_ascii() && css::is_name(c) => word.push(c.to_ascii_lowercase()),
            _ => {}
        }
        before = c;
    }
    if word.contains("expression") || word.contains("mozbinding") {
        UNSAFE.into()
    } else {
        decoded.into_owned()
    }
}

fn url_filter(text: Cow<'_, str>) -> String {
    if is_safe_url(&text) {
        text.into_owned()
    } else {
        format!("#{UNSAFE}")
    }
}

/// Relative, or with one of the schemes whose links do nothing by themselves.
fn is_safe_url(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => ["http", "https", "mailto"]
            .iter()
            .any(|safe| scheme.eq_ignore_ascii_case(safe)),
        _ => true,
    }
}

/// Percent-encodes; when normalising, what has a meaning in URLs and what is encoded already stays.
fn url(text: &str, normalise: bool) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut out = String::with_capacity(text.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        let keep = match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => true,
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?'
            | b'@' | b'[' | b']' => normalise,
            b'%' => normalise && hex(at + 1) && hex(at + 2),
            _ => false,
        };
        if keep {
            out.push(char::from(*byte));
        } else {
            _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

fn srcset(text: &str) -> String {
    let sources: Vec<_> = text.split(',').map(srcset_source).collect();
    sources.join(",")
}

/// One image of a srcset: a URL between blanks, and its width or density.
fn srcset_source(source: &str) -> String {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{c}' | '\r');
    let rest = source.trim_start_matches(is_space);
    let blanks = source.get(..source.len() - rest.len()).unwrap_or("");
    let (image, metadata) = rest
        .find(is_space)
        .and_then(|at| rest.split_at_checked(at))
        .unwrap_or((rest, ""));
    let harmless = metadata
        .chars()
        .all(|c| is_space(c) || c.is_ascii_alphanumeric());
    if is_safe_url(image) && harmless {
        format!("{blanks}{}{metadata}", url(image, true))
    } else {
        format!("#{UNSAFE}")
    }
}

/// The `html` function: as the escaper, but a plus sign stays.
pub(super) fn predefined_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// The `js` function.
pub(super) fn predefined_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c if c.is_ascii() || printf::is_printable(c) => out.push(c),
            c => _ = write!(out, "\\u{:04X}", u32::from(c)),
        }
    }
    out
}

/// The `urlquery` function: `url.QueryEscape`.
pub(super) fn predefined_urlquery(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}
