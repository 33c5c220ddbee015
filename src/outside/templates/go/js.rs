//! How text inside a script or an event handler moves the context.

use super::Problem;
use super::context::{Context, Slash, State};
use super::html::Step;

/// Whether a state is one of JavaScript's.
pub(super) fn owns(state: State) -> bool {
    matches!(
        state,
        State::Js
            | State::JsDoubleQuoted
            | State::JsSingleQuoted
            | State::JsTemplate
            | State::JsRegexp
            | State::JsBlockComment
            | State::JsLineComment
            | State::JsHtmlOpenComment
            | State::JsHtmlCloseComment
    )
}

/// One token of JavaScript.
pub(super) fn transition(mut context: Context, text: &str) -> Step {
    match context.state {
        State::Js => code(context, text),
        State::JsTemplate => template_literal(context, text),
        State::JsDoubleQuoted | State::JsSingleQuoted | State::JsRegexp => literal(context, text),
        State::JsBlockComment => Ok(match text.find("*/") {
            Some(at) => {
                context.state = State::Js;
                (context, at + 2)
            }
            None => (context, text.len()),
        }),
        _ => Ok(match text.find(['\n', '\r', '\u{2028}', '\u{2029}']) {
            Some(at) => {
                context.state = State::Js;
                (context, at)
            }
            None => (context, text.len()),
        }),
    }
}

fn code(mut context: Context, text: &str) -> Step {
    let Some(at) = text.find(['"', '`', '\'', '/', '{', '}', '<', '-', '#']) else {
        context.slash = slash_after(text, context.slash);
        return Ok((context, text.len()));
    };
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    context.slash = slash_after(before, context.slash);
    let mut used = 1;
    match rest.as_bytes() {
        [b'"', ..] => start(&mut context, State::JsDoubleQuoted),
        [b'\'', ..] => start(&mut context, State::JsSingleQuoted),
        [b'`', ..] => start(&mut context, State::JsTemplate),
        [b'/', b'/', ..] | [b'#', b'!', ..] => {
            context.state = State::JsLineComment;
            used = 2;
        }
        [b'/', b'*', ..] => {
            context.state = State::JsBlockComment;
            used = 2;
        }
        [b'/', ..] => match context.slash {
            Slash::Regexp => context.state = State::JsRegexp,
            Slash::Division => context.slash = Slash::Regexp,
            Slash::Unknown => {
                return Err(Problem::here(format!(
                    "'/' could start a division or regexp: {rest:.32?}"
                )));
            }
        },
        // Old HTML comments count as line comments.
        [b'<', b'!', b'-', b'-', ..] => {
            context.state = State::JsHtmlOpenComment;
            used = 4;
        }
        [b'-', b'-', b'>', ..] => {
            context.state = State::JsHtmlCloseComment;
            used = 3;
        }
        [b'{', ..] => {
            context.slash = Slash::Regexp;
            if let Some(depth) = context.braces.last_mut() {
                *depth += 1;
            }
        }
        [b'}', ..] => match context.braces.pop() {
            // The end of `${ .. }`.
            Some(0) => context.state = State::JsTemplate,
            Some(depth) => {
                context.braces.push(depth - 1);
                context.slash = Slash::Regexp;
            }
            None => context.slash = Slash::Regexp,
        },
        // A lone `<`, `-` or `#` says nothing, as in Go.
        _ => {}
    }
    Ok((context, at + used))
}

fn start(context: &mut Context, state: State) {
    context.state = state;
    context.slash = Slash::Regexp;
}

fn unfinished(text: &str) -> Problem {
    Problem::here(format!("unfinished escape sequence in JS string: {text:?}"))
}

fn template_literal(mut context: Context, text: &str) -> Step {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or_else(|| unfinished(text))?;
            }
            '$' if text.get(at + 1..).is_some_and(|rest| rest.starts_with('{')) => {
                context.braces.push(0);
                context.state = State::Js;
                return Ok((context, at + 2));
            }
            '`' => {
                context.state = State::Js;
                return Ok((context, at + 1));
            }
            _ => {}
        }
    }
    Ok((context, text.len()))
}

/// A quoted string or a regular expression.
fn literal(mut context: Context, text: &str) -> Step {
    let end = match context.state {
        State::JsDoubleQuoted => '"',
        State::JsSingleQuoted => '\'',
        _ => '/',
    };
    let regexp = context.state == State::JsRegexp;
    let mut in_set = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or_else(|| unfinished(text))?;
            }
            '[' if regexp => in_set = true,
            ']' if regexp => in_set = false,
            // `</script` in a regular expression is broken up later; its slash ends nothing.
            '/' if regexp && is_script_end(text, at) => {
                chars.next();
            }
            c if c == end && !in_set => {
                context.state = State::Js;
                context.slash = Slash::Division;
                return Ok((context, at + 1));
            }
            _ => {}
        }
    }
    if in_set {
        return Err(Problem::here(format!(
            "unfinished JS regexp charset: {text:?}"
        )));
    }
    Ok((context, text.len()))
}

fn is_script_end(text: &str, slash: usize) -> bool {
    slash > 0
        && text
            .get(slash - 1..slash + 7)
            .is_some_and(|tag| tag.eq_ignore_ascii_case("</script"))
}

/// What a slash after these tokens starts; Go's heuristic, which looks at the last one only.
fn slash_after(text: &str, before: Slash) -> Slash {
    let text = text.trim_end_matches(is_space);
    let Some(last) = text.chars().next_back() else {
        return before;
    };
    let regexp = match last {
        '+' | '-' => {
            let run = text.len() - text.trim_end_matches(last).len();
            run % 2 == 1
        }
        '.' => !text
            .strip_suffix('.')
            .is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit())),
        ',' | '<' | '>' | '=' | '*' | '%' | '&' | '|' | '^' | '?' | '!' | '~' | '(' | '[' | ':'
        | ';' | '{' | '}' => true,
        _ => {
            let word = text
                .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '_'));
            matches!(
                text.get(word.len()..).unwrap_or(""),
                "break"
                    | "case"
                    | "continue"
                    | "delete"
                    | "do"
                    | "else"
                    | "finally"
                    | "in"
                    | "instanceof"
                    | "return"
                    | "throw"
                    | "try"
                    | "typeof"
                    | "void"
            )
        }
    };
    if regexp {
        Slash::Regexp
    } else {
        Slash::Division
    }
}

/// ECMAScript's `\s`.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{c}' | '\n' | '\r' | '\t' | '\u{b}' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// Whether a `script` of this type holds JavaScript (or JSON).
pub(super) fn is_script_type(mime: &str) -> bool {
    let mime = mime
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    matches!(
        mime.as_str(),
        "" | "application/ecmascript"
            | "application/javascript"
            | "application/json"
            | "application/ld+json"
            | "application/x-ecmascript"
            | "application/x-javascript"
            | "module"
            | "text/ecmascript"
            | "text/javascript"
            | "text/javascript1.0"
            | "text/javascript1.1"
            | "text/javascript1.2"
            | "text/javascript1.3"
            | "text/javascript1.4"
            | "text/javascript1.5"
            | "text/jscript"
            | "text/livescript"
            | "text/x-ecmascript"
            | "text/x-javascript"
    )
}
