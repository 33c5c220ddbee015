//! What the value of an action goes through at its place, before it is written.

use std::sync::Arc;

use super::Problem;
use super::ast::{Command, Function, Node, Operand, Pipe};
use super::context::{Attribute, Context, Delim, Slash, State, UrlPart};

/// What is done to a value before it is written. Names as in `html/template`, where attributes, text and
/// `textarea` have one each; for plain values they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaper {
    Html,
    /// Unquoted attribute values.
    NoSpace,
    /// Tag and attribute names.
    Name,
    Comment,
    JsValue,
    JsString,
    JsTemplate,
    JsRegexp,
    Css,
    CssValue,
    UrlFilter,
    UrlNormalizer,
    Url,
    Srcset,
    /// The template's own `html` at the end of a pipe.
    PredefinedHtml,
    /// The template's own `urlquery` at the end of a pipe.
    PredefinedUrlquery,
}

/// Gives an action its escapers.
pub(super) fn action(context: Context, pipe: &Arc<Pipe>) -> Result<(Context, Node), Problem> {
    if !pipe.variables.is_empty() {
        return Ok((
            context,
            Node::Action {
                pipe: Arc::clone(pipe),
                escapers: Vec::new(),
            },
        ));
    }
    let mut context = nudge(context);
    let unquoted = context.state == State::Attribute && context.delim == Delim::SpaceOrTagEnd;
    for (at, command) in pipe.commands.iter().enumerate() {
        if let Operand::Function(function @ (Function::Html | Function::Urlquery)) = command.operand
            && (at + 1 < pipe.commands.len() || (unquoted && function == Function::Html))
        {
            let name = function.name();
            return Err(Problem::here(format!(
                "predefined escaper {name:?} disallowed in template"
            )));
        }
    }
    let mut escapers = inner_escapers(&mut context)?;
    match context.delim {
        Delim::None => {}
        Delim::SpaceOrTagEnd => escapers.push(Escaper::NoSpace),
        Delim::DoubleQuote | Delim::SingleQuote => escapers.push(Escaper::Html),
    }
    let pipe = merge_predefined(pipe, &mut escapers);
    // What these leave needs no escaping for an attribute.
    if let [
        ..,
        Escaper::Comment
        | Escaper::Css
        | Escaper::JsRegexp
        | Escaper::JsString
        | Escaper::JsTemplate,
        Escaper::Html,
    ] = escapers.as_slice()
    {
        escapers.pop();
    }
    Ok((context, Node::Action { pipe, escapers }))
}

/// The escapers for the state, without that for the attribute around it.
fn inner_escapers(context: &mut Context) -> Result<Vec<Escaper>, Problem> {
    Ok(match context.state {
        State::Url
        | State::CssDoubleQuoted
        | State::CssSingleQuoted
        | State::CssDoubleQuotedUrl
        | State::CssSingleQuotedUrl
        | State::CssUrl => {
            let string = matches!(
                context.state,
                State::CssDoubleQuoted | State::CssSingleQuoted
            );
            let path = if string {
                Escaper::Css
            } else {
                Escaper::UrlNormalizer
            };
            match context.url {
                UrlPart::Start => vec![Escaper::UrlFilter, path],
                UrlPart::BeforeQuery => vec![path],
                UrlPart::QueryOrFragment => vec![Escaper::Url],
                UrlPart::Unknown => {
                    return Err(Problem::here(
                        "an action appears in an ambiguous context within a URL",
                    ));
                }
            }
        }
        State::MetaContent | State::Attribute => Vec::new(),
        State::MetaContentUrl => vec![Escaper::UrlFilter],
        State::Js => {
            // A slash after a value divides.
            context.slash = Slash::Division;
            vec![Escaper::JsValue]
        }
        State::JsDoubleQuoted | State::JsSingleQuoted => vec![Escaper::JsString],
        State::JsTemplate => vec![Escaper::JsTemplate],
        State::JsRegexp => vec![Escaper::JsRegexp],
        State::Css => vec![Escaper::CssValue],
        State::Text | State::Rcdata => vec![Escaper::Html],
        State::AttributeName | State::Tag => {
            context.state = State::AttributeName;
            vec![Escaper::Name]
        }
        State::Srcset => vec![Escaper::Srcset],
        state if state.is_comment() => vec![Escaper::Comment],
        state => return Err(Problem::here(format!("an action in state {state:?}"))),
    })
}

/// A pipe that ends in `html` or `urlquery` escapes with that instead of the equivalent escaper of the place.
fn merge_predefined(pipe: &Arc<Pipe>, escapers: &mut [Escaper]) -> Arc<Pipe> {
    let Some((last, before)) = pipe.commands.split_last() else {
        return Arc::clone(pipe);
    };
    let (own, equivalent): (_, &[Escaper]) = match last.operand {
        Operand::Function(Function::Html) => (Escaper::PredefinedHtml, &[Escaper::Html]),
        Operand::Function(Function::Urlquery) => (
            Escaper::PredefinedUrlquery,
            &[Escaper::Url, Escaper::UrlNormalizer],
        ),
        _ => return Arc::clone(pipe),
    };
    let mut commands = before.to_vec();
    if commands.is_empty() && !last.arguments.is_empty() {
        commands.push(Command {
            operand: Operand::Function(Function::Joined),
            arguments: last.arguments.clone(),
        });
    }
    match escapers
        .iter_mut()
        .find(|escaper| equivalent.contains(escaper))
    {
        Some(escaper) => *escaper = own,
        None => commands.push(Command {
            operand: last.operand.clone(),
            arguments: Vec::new(),
        }),
    }
    Arc::new(Pipe {
        line: pipe.line,
        assigns: false,
        variables: Vec::new(),
        commands,
    })
}

/// What an empty text would do: `<a href=` is before a value, and an action there is that value.
pub(super) fn nudge(mut context: Context) -> Context {
    match context.state {
        State::Tag => context.state = State::AttributeName,
        State::BeforeValue => {
            context.state = context.attribute.value();
            context.delim = Delim::SpaceOrTagEnd;
            context.attribute = Attribute::Plain;
        }
        State::AfterName => {
            context.state = State::AttributeName;
            context.attribute = Attribute::Plain;
        }
        _ => {}
    }
    context
}
