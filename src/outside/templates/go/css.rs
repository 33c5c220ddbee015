//! How text inside a style moves the context; and CSS escapes.

use std::borrow::Cow;

use super::Problem;
use super::context::{Context, State};
use super::html::{self, Step};

/// One token of CSS.
pub(super) fn transition(mut context: Context, text: &str) -> Step {
    match context.state {
        State::Css => Ok(sheet(context, text)),
        State::CssBlockComment => Ok(match text.find("*/") {
            Some(at) => {
                context.state = State::Css;
                (context, at + 2)
            }
            None => (context, text.len()),
        }),
        State::CssLineComment => Ok(match text.find(['\n', '\u{c}', '\r']) {
            Some(at) => {
                context.state = State::Css;
                (context, at)
            }
            None => (context, text.len()),
        }),
        _ => string(context, text),
    }
}

fn sheet(mut context: Context, text: &str) -> (Context, usize) {
    for (at, c) in text.char_indices() {
        let after = text.get(at + 1..).unwrap_or("");
        match c {
            '(' if ends_with_url(text.get(..at).unwrap_or("")) => {
                let inner = after.trim_start_matches(is_space);
                let start = text.len() - inner.len();
                let (state, quote) = match inner.chars().next() {
                    Some('"') => (State::CssDoubleQuotedUrl, 1),
                    Some('\'') => (State::CssSingleQuotedUrl, 1),
                    _ => (State::CssUrl, 0),
                };
                context.state = state;
                return (context, start + quote);
            }
            '/' if after.starts_with('/') => {
                context.state = State::CssLineComment;
                return (context, at + 2);
            }
            '/' if after.starts_with('*') => {
                context.state = State::CssBlockComment;
                return (context, at + 2);
            }
            '"' => {
                context.state = State::CssDoubleQuoted;
                return (context, at + 1);
            }
            '\'' => {
                context.state = State::CssSingleQuoted;
                return (context, at + 1);
            }
            _ => {}
        }
    }
    (context, text.len())
}

/// A string or a URL. Every string is taken for a URL: fonts and separators do not mind.
fn string(mut context: Context, text: &str) -> Step {
    let state = context.state;
    let ends = |c: char| match state {
        State::CssDoubleQuoted | State::CssDoubleQuotedUrl => c == '"',
        State::CssSingleQuoted | State::CssSingleQuotedUrl => c == '\'',
        _ => is_space(c) || c == ')',
    };
    let mut from = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if ends(c) {
            context.state = State::Css;
            return Ok((context, at + 1));
        }
        if c == '\\' {
            let Some((escaped, c)) = chars.next() else {
                return Err(Problem::here(format!(
                    "unfinished escape sequence in CSS string: {text:?}"
                )));
            };
            from = escaped + c.len_utf8();
            html::url(&mut context, &decode(text.get(..from).unwrap_or("")));
        }
    }
    html::url(&mut context, &decode(text.get(from..).unwrap_or("")));
    Ok((context, text.len()))
}

/// Whether the text ends with the word `url`.
fn ends_with_url(text: &str) -> bool {
    let text = text.trim_end_matches(is_space);
    let Some((before, word)) = text
        .len()
        .checked_sub(3)
        .and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    word.eq_ignore_ascii_case("url") && !before.chars().next_back().is_some_and(is_name)
}

/// What a name may contain.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '-' | '_')
        || (c >= '\u{80}' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}

/// Resolves `\41` and `\"`.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let hex: String = escape
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .take(6)
            .collect();
        if hex.is_empty() {
            let mut chars = escape.chars();
            out.extend(chars.next());
            rest = chars.as_str();
            continue;
        }
        let mut used = hex.len();
        let mut code = u32::from_str_radix(&hex, 16).unwrap_or(0);
        if code > 0x10_ffff {
            code /= 16;
            used -= 1;
        }
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        // One blank after the digits belongs to them.
        let after = escape.get(used..).unwrap_or("");
        rest = after
            .strip_prefix("\r\n")
            .or_else(|| after.strip_prefix(is_space))
            .unwrap_or(after);
    }
    out.push_str(rest);
    Cow::Owned(out)
}
