//! Template text as the analysis writes it out: comments dropped, stray `<` escaped, script tags inside
//! literals of a script broken up.

use super::Problem;
use super::context::{Context, Delim, State};
use super::html;

/// Follows the text, which starts on `line`, from `context`; returns the context after it and what is left of it.
pub(super) fn normalise(
    mut context: Context,
    source: &str,
    line: usize,
) -> Result<(Context, String), Problem> {
    let mut out = String::with_capacity(source.len());
    let mut written = 0;
    let mut at = 0;
    while at < source.len() {
        let rest = source.get(at..).unwrap_or("");
        let (next, used) = html::advance(&context, rest).map_err(|problem| {
            problem.at(line + source.get(..at).unwrap_or("").matches('\n').count())
        })?;
        if used == 0 && next.state == context.state {
            return Err(Problem::new(line, "no way forward"));
        }
        let end = at + used;
        let piece = |from: usize, to: usize| source.get(from..to).unwrap_or("");
        let commented = context.state.is_comment() && context.delim == Delim::None;
        if matches!(context.state, State::Text | State::Rcdata) {
            let moved = next.state != context.state;
            let plain = if moved {
                piece(at, end).rfind('<').map_or(end, |tag| at + tag)
            } else {
                end
            };
            for (stray, _) in piece(at, plain).match_indices('<') {
                let stray = at + stray;
                let doctype = source
                    .get(stray..stray + 9)
                    .is_some_and(|tag| tag.eq_ignore_ascii_case("<!DOCTYPE"));
                if !doctype {
                    out.push_str(piece(written, stray));
                    out.push_str("&lt;");
                    written = stray + 1;
                }
            }
        } else if commented {
            match context.state {
                // A comment with a line break in it counts as a line break.
                State::JsBlockComment => {
                    let breaks = piece(written, end).contains(['\n', '\r', '\u{2028}', '\u{2029}']);
                    out.push(if breaks { '\n' } else { ' ' });
                }
                State::CssBlockComment => out.push(' '),
                _ => {}
            }
            written = end;
        }
        if next.state != context.state && next.state.is_comment() && next.delim == Delim::None {
            let opening = match next.state {
                State::HtmlComment | State::JsHtmlOpenComment => 4,
                State::JsHtmlCloseComment => 3,
                _ => 2,
            };
            out.push_str(piece(written, end - opening));
            written = end;
        }
        if context.state.is_script_literal()
            && let Some(broken_up) = without_script_tags(piece(at, end))
        {
            out.push_str(piece(written, at));
            out.push_str(&broken_up);
            written = end;
        }
        context = next;
        at = end;
    }
    if written == 0 {
        return Ok((context, source.to_owned()));
    }
    if !(context.state.is_comment() && context.delim == Delim::None) {
        out.push_str(source.get(written..).unwrap_or(""));
    }
    Ok((context, out))
}

/// `<script`, `</script` and `<!--` with their bracket as `\x3C`; `None` when there are none.
fn without_script_tags(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let starts = |tag: &str| {
            after
                .get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        };
        if starts("script") || starts("/script") || starts("!--") {
            out.push_str("\\x3C");
            found = true;
        } else {
            out.push('<');
        }
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
}
