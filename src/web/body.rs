//! Request bodies: JSON read as Go's `encoding/json` reads it, with its messages, into typed parameters; and the
//! url-encoded form that `/token` takes besides, for the oldest clients.

mod decode;
mod members;
mod syntax;

use std::convert::Infallible;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, bad_request, too_large};
use crate::urls::query::Pairs;
pub use decode::{Decoder, Member, Mismatch, Params, is_named};
use syntax::SyntaxError;

/// The longest body that is read, in bytes, as GoTrue's (`api/api.go`).
pub const MAX_BYTES: usize = 1 << 20;

/// Declares the parameters of a request: a struct with the names and types that GoTrue's has, since both stand in
/// its messages. Members are `String`, `bool`, `i64`, [`Uuid`](uuid::Uuid), `Vec<String>`, `serde_json::Map` for
/// metadata, [`SecretString`](secrecy::SecretString) for what is never stored as it is, `Option` of these where Go
/// has a pointer (or a map that may be null), and other structs of parameters. A NUL character is refused
/// everywhere but in secrets.
///
/// ```
/// truegate::params! {
///     /// POST /otp
///     pub struct OtpParams {
///         /// The address to write to.
///         pub email: String,
///         /// A name on the wire that is a keyword here.
///         pub kind as "type": String,
///         /// What holds when nothing is said.
///         pub create_user: bool = true,
///     }
/// }
/// ```
#[macro_export]
macro_rules! params {
    (
        $(#[$about:meta])*
        $seen:vis struct $name:ident {
            $(
                $(#[$detail:meta])*
                $shown:vis $field:ident $(as $wire:literal)?: $type:ty $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Debug)]
        $seen struct $name {
            $($(#[$detail])* $shown $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::params!(@default $($default)?),)* }
            }
        }

        impl $crate::web::body::Params for $name {
            fn member(&mut self, name: &str, decoder: &mut $crate::web::body::Decoder<'_>) -> bool {
                $(
                    if $crate::web::body::is_named(name, $crate::params!(@wire $field $($wire)?)) {
                        decoder.enter(stringify!($name), $crate::params!(@wire $field $($wire)?), &mut self.$field);
                        return true;
                    }
                )*
                false
            }
        }

        impl $crate::web::body::Member for $name {
            const TYPE: &'static str = concat!("api.", stringify!($name));

            fn read(&mut self, decoder: &mut $crate::web::body::Decoder<'_>) {
                decoder.object(self);
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@wire $field:ident) => { stringify!($field) };
    (@wire $field:ident $wire:literal) => { $wire };
}

/// The body of a request, read and not yet understood. Whether it could be read is told when it is asked for, so
/// that a limiter in front is asked first.
pub struct Body {
    content: Result<Bytes, Unreadable>,
    is_form: bool,
}

#[derive(Debug, Clone, Copy)]
enum Unreadable {
    TooLarge,
    Broken,
}

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        let is_form = is_form(request.headers());
        let content = match Limited::new(request.into_body(), MAX_BYTES).collect().await {
            Ok(content) => Ok(content.to_bytes()),
            Err(error) if is_too_long(&*error) => Err(Unreadable::TooLarge),
            Err(_) => Err(Unreadable::Broken),
        };
        Ok(Self { content, is_form })
    }
}

impl Body {
    /// Nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.content, Ok(content) if content.is_empty())
    }

    /// Decodes JSON, whatever the Content-Type says. A url-encoded body counts as empty: GoTrue's form parser has
    /// eaten it by then.
    pub fn json<T: Params>(&self) -> Result<T> {
        match self.text() {
            Ok(text) => parse(text),
            Err(Unreadable::Broken) => Err(bad_json(COULD_NOT_PARSE, "unexpected EOF")),
            Err(Unreadable::TooLarge) => {
                let message = format!("Request body too large (max {MAX_BYTES} bytes)");
                Err(too_large(Code::RequestEntityTooLarge, message))
            }
        }
    }

    /// Decodes the first JSON value of the body and ignores what follows, with the messages of `/magiclink`.
    pub fn first_json<T: Params>(&self) -> Result<T> {
        const COULD_NOT_READ: &str = "Could not read verification params";
        let text = self.text().map_err(|unreadable| match unreadable {
            Unreadable::TooLarge => bad_json(COULD_NOT_READ, "http: request body too large"),
            Unreadable::Broken => bad_json(COULD_NOT_READ, "unexpected EOF"),
        })?;
        let value = syntax::check_first(text).map_err(|error| match error {
            SyntaxError {
                at_end: false,
                message,
            } => bad_json(COULD_NOT_READ, &message),
            _ if text.iter().all(|byte| syntax::is_space(*byte)) => bad_json(COULD_NOT_READ, "EOF"),
            _ => bad_json(COULD_NOT_READ, "unexpected EOF"),
        })?;
        decode::decode(value).map_err(|mismatch| refusal(COULD_NOT_READ, mismatch))
    }

    fn text(&self) -> Result<&[u8], Unreadable> {
        match &self.content {
            Ok(_) if self.is_form => Ok(&[]),
            Ok(content) => Ok(content),
            Err(unreadable) => Err(*unreadable),
        }
    }

    /// Decodes JSON, or a url-encoded form with the same names, in which `username` is the e-mail address.
    pub fn form_or_json<T: Params>(&self) -> Result<T> {
        let Some(form) = self.form()? else {
            return self.json();
        };
        let mut members = Map::new();
        for (name, value) in form.iter() {
            let name = if name == "username" { "email" } else { name };
            members.entry(name).or_insert_with(|| value.into());
        }
        parse(Value::Object(members).to_string().as_bytes())
    }

    /// The fields of a url-encoded body; none if it is of another type.
    pub fn form(&self) -> Result<Option<Pairs>> {
        let (true, Ok(content)) = (self.is_form, &self.content) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(content);
        Pairs::parse(&text)
            .map(Some)
            .map_err(|error| bad_json("Could not parse request body as a form", error.0))
    }
}

const COULD_NOT_PARSE: &str = "Could not parse request body as JSON";

/// Decodes a JSON text with the messages of most routes.
pub fn parse<T: Params>(text: &[u8]) -> Result<T> {
    syntax::check(text).map_err(|error| bad_json(COULD_NOT_PARSE, &error.message))?;
    decode::decode(text).map_err(|mismatch| refusal(COULD_NOT_PARSE, mismatch))
}

/// Checks the syntax of a JSON text; the error is in Go's words.
pub fn check_syntax(text: &[u8]) -> Result<(), String> {
    syntax::check(text).map_err(|error| error.message)
}

fn refusal(what: &str, mismatch: Mismatch) -> Error {
    match mismatch {
        Mismatch::Type(message) => bad_json(what, &message),
        Mismatch::Nul(place) => bad_request(
            Code::ValidationFailed,
            format!("{place} must not contain a NUL character"),
        ),
    }
}

fn bad_json(what: &str, message: &str) -> Error {
    bad_request(Code::BadJson, format!("{what}: {message}"))
}

/// Whether a body was cut off here, or by a layer further out.
fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_long)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests;
