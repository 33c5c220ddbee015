//! How a run of template text moves the context: HTML tags and attributes, URLs. Scripts and styles are next door.

use super::context::{Attribute, Context, Delim, Element, State, UrlPart};
use super::{Problem, css, entities, js};

/// Where a piece of text leads: the context after it, and how many bytes of it are used up.
pub(super) type Step = Result<(Context, usize), Problem>;

/// Consumes the first token of `text`, which must not be empty.
pub(super) fn advance(context: &Context, text: &str) -> Step {
    match context.delim {
        Delim::None => {
            // Whatever comes before a special element's end tag belongs to the element.
            let end = special_end(context, text);
            if end == Some(0) {
                return Ok((Context::default(), 0));
            }
            transition(
                context.clone(),
                text.get(..end.unwrap_or(text.len())).unwrap_or(text),
            )
        }
        Delim::DoubleQuote => in_value(context, text, text.find('"')),
        Delim::SingleQuote => in_value(context, text, text.find('\'')),
        Delim::SpaceOrTagEnd => {
            let end = text.find([' ', '\t', '\n', '\u{c}', '\r', '>']);
            let value = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
            // Browsers differ on whether these end the value.
            if let Some(bad) = value
                .chars()
                .find(|c| matches!(c, '"' | '\'' | '<' | '=' | '`'))
            {
                return Err(Problem::here(format!(
                    "{bad:?} in unquoted attr: {value:?}"
                )));
            }
            in_value(context, text, end)
        }
    }
}

/// In an attribute's value, which ends at `end`.
fn in_value(context: &Context, text: &str, end: Option<usize>) -> Step {
    let Some(end) = end else {
        // The rules of URLs, scripts and styles see the value as a browser decodes it.
        let decoded = entities::decode(text);
        let mut context = context.clone();
        let mut rest = decoded.as_ref();
        while !rest.is_empty() {
            let (next, used) = transition(context, rest)?;
            context = next;
            rest = rest.get(used..).unwrap_or("");
        }
        return Ok((context, text.len()));
    };
    let value = text.get(..end).unwrap_or("");
    let foreign = context.state == State::Attribute
        && context.element == Element::Script
        && context.attribute == Attribute::ScriptType
        && !js::is_script_type(value);
    let quote = usize::from(context.delim != Delim::SpaceOrTagEnd);
    let element = if foreign {
        Element::Other
    } else {
        context.element
    };
    Ok((
        Context {
            element,
            ..Context::of(State::Tag)
        },
        end + quote,
    ))
}

fn transition(mut context: Context, text: &str) -> Step {
    match context.state {
        State::Text => Ok(in_text(context, text)),
        State::Tag => in_tag(&context, text),
        State::AttributeName => {
            let end = attribute_name(text)?;
            if end < text.len() {
                context.state = State::AfterName;
            }
            Ok((context, end))
        }
        State::AfterName => Ok(after_name(context, text)),
        State::BeforeValue => Ok(before_value(context, text)),
        State::HtmlComment => Ok(match text.find("-->") {
            Some(at) => (Context::default(), at + 3),
            None => (context, text.len()),
        }),
        State::Rcdata => Ok(match special_end(&context, text) {
            Some(at) => (Context::default(), at),
            None => (context, text.len()),
        }),
        State::Attribute | State::Dead => Ok((context, text.len())),
        State::Url | State::Srcset => {
            url(&mut context, text);
            Ok((context, text.len()))
        }
        State::MetaContent => Ok(meta_content(context, text)),
        State::MetaContentUrl => Ok(match text.find(';') {
            Some(at) => {
                context.state = State::MetaContent;
                (context, at + 1)
            }
            None => (context, text.len()),
        }),
        state if js::owns(state) => js::transition(context, text),
        _ => css::transition(context, text),
    }
}

fn in_text(context: Context, text: &str) -> (Context, usize) {
    let mut from = 0;
    while let Some(at) = text
        .get(from..)
        .and_then(|rest| rest.find('<'))
        .map(|at| at + from)
    {
        let after = text.get(at + 1..).unwrap_or("");
        if after.starts_with("!--") {
            return (Context::of(State::HtmlComment), at + 4);
        }
        let (slash, name) = after.strip_prefix('/').map_or((0, after), |name| (1, name));
        if name.is_empty() {
            break;
        }
        let length = tag_name(name);
        let end = at + 1 + slash + length;
        if length > 0 {
            let element = if slash == 1 {
                Element::Other
            } else {
                Element::named(name.get(..length).unwrap_or(""))
            };
            return (
                Context {
                    element,
                    ..Context::of(State::Tag)
                },
                end,
            );
        }
        from = end;
    }
    (context, text.len())
}

/// The length of the tag name that `text` starts with: `x-y` and `x:y` belong, `x-` does not.
fn tag_name(text: &str) -> usize {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    let alphanumeric = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let mut at = 1;
    loop {
        if alphanumeric(at) {
            at += 1;
        } else if matches!(bytes.get(at), Some(b':' | b'-')) && alphanumeric(at + 1) {
            at += 2;
        } else {
            return at;
        }
    }
}

fn in_tag(context: &Context, text: &str) -> Step {
    let start = white_space(text);
    let rest = text.get(start..).unwrap_or("");
    if rest.is_empty() {
        return Ok((context.clone(), text.len()));
    }
    if rest.starts_with('>') {
        // A meta has no content and no end tag.
        let element = if context.element == Element::Meta {
            Element::Other
        } else {
            context.element
        };
        return Ok((
            Context {
                element,
                ..Context::of(element.content())
            },
            start + 1,
        ));
    }
    let length = attribute_name(rest)?;
    if length == 0 {
        return Err(Problem::here(format!(
            "expected space, attr name, or end of tag, but got {rest:?}"
        )));
    }
    let name = rest.get(..length).unwrap_or("").to_lowercase();
    let state = if length == rest.len() {
        State::AttributeName
    } else {
        State::AfterName
    };
    let attribute = Attribute::named(context.element, &name);
    Ok((
        Context {
            element: context.element,
            attribute,
            ..Context::of(state)
        },
        start + length,
    ))
}

fn attribute_name(text: &str) -> Result<usize, Problem> {
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\t' | '\n' | '\u{c}' | '\r' | '=' | '>' => return Ok(at),
            '\'' | '"' | '<' => {
                return Err(Problem::here(format!(
                    "{c:?} in attribute name: {text:.32?}"
                )));
            }
            _ => {}
        }
    }
    Ok(text.len())
}

fn after_name(mut context: Context, text: &str) -> (Context, usize) {
    let at = white_space(text);
    match text.get(at..).and_then(|rest| rest.chars().next()) {
        None => (context, text.len()),
        Some('=') => {
            context.state = State::BeforeValue;
            (context, at + 1)
        }
        // The end of the tag, or the next attribute.
        Some(_) => {
            context.state = State::Tag;
            (context, at)
        }
    }
}

fn before_value(mut context: Context, text: &str) -> (Context, usize) {
    let at = white_space(text);
    let (delim, quote) = match text.get(at..).and_then(|rest| rest.chars().next()) {
        None => return (context, text.len()),
        Some('\'') => (Delim::SingleQuote, 1),
        Some('"') => (Delim::DoubleQuote, 1),
        Some(_) => (Delim::SpaceOrTagEnd, 0),
    };
    context.state = context.attribute.value();
    context.delim = delim;
    (context, at + quote)
}

/// Where the end tag of the script, style, textarea or title begins that we are in.
fn special_end(context: &Context, text: &str) -> Option<usize> {
    if context.element == Element::Other {
        return None;
    }
    // `</script` inside a literal is broken up later, not taken for an end.
    if context.element == Element::Script
        && (context.state.is_script_literal() || context.state.is_comment())
    {
        return None;
    }
    let name = context.element.name();
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find("</").map(|at| at + from) {
        let after = text.get(at + 2..)?;
        let is_end = after
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
            && after
                .get(name.len()..)?
                .starts_with(['>', ' ', '\t', '\n', '\u{c}', '/']);
        if is_end {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

/// Text inside a URL.
pub(super) fn url(context: &mut Context, text: &str) {
    if text.contains(['#', '?']) {
        context.url = UrlPart::QueryOrFragment;
    } else if white_space(text) != text.len() && context.url == UrlPart::Start {
        context.url = UrlPart::BeforeQuery;
    }
}

/// `content="0; url=..."`.
fn meta_content(mut context: Context, text: &str) -> (Context, usize) {
    for (at, _) in text.char_indices() {
        let named = text
            .get(at..at + 3)
            .is_some_and(|name| name.eq_ignore_ascii_case("url"));
        if named && let Some(after) = text.get(at + 3..) {
            let blanks = white_space(after);
            if after
                .get(blanks..)
                .is_some_and(|rest| rest.starts_with('='))
            {
                context.state = State::MetaContentUrl;
                return (context, at + 3 + blanks + 1);
            }
        }
    }
    (context, text.len())
}

fn white_space(text: &str) -> usize {
    text.len()
        - text
            .trim_start_matches([' ', '\t', '\n', '\u{c}', '\r'])
            .len()
}
