//! One error for the whole core; each face renders it at its door.
//!
//! A refusal is written where it is decided, with its exact words. Everything that `?` lifts from
//! a library is a failure: the operator reads its cause, the caller only a general message.

use std::borrow::Cow;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
pub use http::StatusCode;

mod code;
mod sqlstate;
pub use code::Code;
pub use sqlstate::sqlstate;

/// What every act and every handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not happen.
#[derive(Debug)]
pub enum Error {
    /// We will not: told to the caller, word for word.
    Refused(Box<Refusal>),
    /// We will not, in the words of RFC 6749 (always status 400, as GoTrue).
    Oauth {
        /// RFC 6749 §5.2 `error`, or GoTrue's own spelling of it.
        error: Cow<'static, str>,
        /// `error_description`.
        description: Cow<'static, str>,
    },
    /// Not now: 503 with Retry-After.
    Unavailable(Unavailable),
    /// We could not: the cause is told to the operator only.
    Failed(Box<Failure>),
}

/// A refusal, as the caller will read it.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status, part of GoTrue's contract.
    pub status: StatusCode,
    /// GoTrue's `error_code`.
    pub code: Code,
    /// Whether the code also stands in a header. It does not where nobody chose it.
    pub named: bool,
    /// GoTrue's `msg`.
    pub message: Cow<'static, str>,
    /// What some refusals carry besides.
    pub details: Option<Details>,
    /// After how long asking again makes sense, sent as Retry-After.
    pub retry_after: Option<Duration>,
    /// Response headers that accompany this refusal (`sb-auth-*`).
    pub headers: Vec<(&'static str, String)>,
}

/// What some refusals carry besides code and message.
#[derive(Debug, Clone)]
pub enum Details {
    /// Why a password is weak: `length`, `characters`, `pwned`.
    WeakPassword(Vec<&'static str>),
}

/// Overload or a database that is away.
#[derive(Debug)]
pub struct Unavailable {
    /// Told to the caller.
    pub message: &'static str,
    /// After how long asking again makes sense.
    pub retry_after: Duration,
    /// Told to the operator.
    pub cause: Option<anyhow::Error>,
}

/// A failure: `message` is GoTrue's public text for it, `cause` is for the operator.
#[derive(Debug)]
pub struct Failure {
    /// Told to the caller with status 500.
    pub message: Cow<'static, str>,
    /// Told to the operator. GoTrue passes some Postgres errors through: the door looks for one here.
    pub cause: anyhow::Error,
}

/// GoTrue's text for a failure that nobody named.
pub const UNEXPECTED_FAILURE: &str =
    "Unexpected failure, please check server logs for more information";

fn refuse(status: StatusCode, code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    Error::Refused(Box::new(Refusal {
        status,
        code,
        named: code != Code::Unknown,
        message: message.into(),
        details: None,
        retry_after: None,
        headers: Vec::new(),
    }))
}

/// 400: the request makes no sense, or may not be done this way.
pub fn bad_request(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::BAD_REQUEST, code, message)
}

/// 401: no credentials.
pub fn unauthorized(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::UNAUTHORIZED, code, message)
}

/// 403: not with these credentials.
pub fn forbidden(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::FORBIDDEN, code, message)
}

/// 404: no such thing.
pub fn not_found(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::NOT_FOUND, code, message)
}

/// 409: two requests collide.
pub fn conflict(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::CONFLICT, code, message)
}

/// 413: the body is too long.
pub fn too_large(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::PAYLOAD_TOO_LARGE, code, message)
}

/// 422: understood, and not allowed in this state.
pub fn unprocessable(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
    refuse(StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

/// 429: too often; asking again makes sense after `retry_after`.
pub fn too_many_requests(
    code: Code,
    message: impl Into<Cow<'static, str>>,
    retry_after: Option<Duration>,
) -> Error {
    let mut error = refuse(StatusCode::TOO_MANY_REQUESTS, code, message);
    if let Error::Refused(refusal) = &mut error {
        refusal.retry_after = retry_after;
    }
    error
}

/// What a hook answered in its own words; its errors have no code of ours.
pub fn said_by_hook(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Error {
    let code = if status == StatusCode::INTERNAL_SERVER_ERROR {
        Code::UnexpectedFailure
    } else {
        Code::Unknown
    };
    let mut error = refuse(status, code, message);
    if let Error::Refused(refusal) = &mut error {
        refusal.named = false;
    }
    error
}

/// 504: the whole request took too long.
#[must_use]
pub fn timed_out() -> Error {
    refuse(
        StatusCode::GATEWAY_TIMEOUT,
        Code::RequestTimeout,
        "Processing this request timed out, please retry after a moment.",
    )
}

/// A refusal in the words of OAuth 2.0 (RFC 6749, section 5.2).
pub fn oauth(
    error: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
) -> Error {
    Error::Oauth {
        error: error.into(),
        description: description.into(),
    }
}

/// 500 with GoTrue's public text for this failure.
pub fn failed(message: impl Into<Cow<'static, str>>, cause: impl Into<anyhow::Error>) -> Error {
    Error::Failed(Box::new(Failure {
        message: message.into(),
        cause: cause.into(),
    }))
}

impl Error {
    /// Adds response headers to a refusal; other errors stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.headers.push((name, value.into()));
        }
        self
    }

    /// Adds details to a refusal; other errors stay as they are.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.details = Some(details);
        }
        self
    }

    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// Gives a failure GoTrue's public text for it; refusals and unavailability pass unchanged.
pub trait Context<T> {
    /// Names what was being done, in GoTrue's public words.
    fn public(self, message: &'static str) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn public(self, message: &'static str) -> Result<T> {
        self.map_err(|error| match error.into() {
            Error::Failed(mut failure) => {
                failure.message = message.into();
                Error::Failed(failure)
            }
            other => other,
        })
    }
}

/// Turns a violated constraint into a refusal, at the call.
pub trait OnConstraint<T> {
    /// When exactly this constraint was violated, refuses with `refusal`.
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Error) -> Result<T>;
}

impl<T, E: Into<Error>> OnConstraint<T> for std::result::Result<T, E> {
    fn on_constraint(self, name: &str, refusal: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            if error.violates(name) {
                refusal()
            } else {
                error
            }
        })
    }
}

impl Error {
    /// Was exactly this constraint violated?
    fn violates(&self, constraint: &str) -> bool {
        let Self::Failed(failure) = self else {
            return false;
        };
        matches!(
            failure.cause.downcast_ref(),
            Some(DieselError::DatabaseError(_, info)) if info.constraint_name() == Some(constraint)
        )
    }
}

/// How long a caller should wait when the database is away.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

impl Error {
    /// The database cannot be reached: 503.
    pub fn database_away(cause: impl Into<anyhow::Error>) -> Self {
        Self::Unavailable(Unavailable {
            message: "The database is not available, please retry after a moment.",
            retry_after: DATABASE_RETRY,
            cause: Some(cause.into()),
        })
    }
}

impl Error {
    /// For the operator, at a terminal or in a log: what the caller is not told.
    #[must_use]
    pub fn into_cause(self) -> anyhow::Error {
        match self {
            Self::Refused(refusal) => anyhow::Error::msg(refusal.message),
            Self::Oauth { description, .. } => anyhow::Error::msg(description),
            Self::Unavailable(Unavailable { message, cause, .. }) => match cause {
                Some(cause) => {
                    cause.context("the database is not available where DATABASE_URL says")
                }
                None => anyhow::Error::msg(message),
            },
            Self::Failed(failure) => match *failure {
                Failure { message, cause } if message == UNEXPECTED_FAILURE => cause,
                Failure { message, cause } => cause.context(message),
            },
        }
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let away = match &error {
            DieselError::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            )
            | DieselError::BrokenTransactionManager => true,
            error => sqlstate::is_away(error),
        };
        if away {
            Self::database_away(error)
        } else if sqlstate::is_too_long(&error) {
            unprocessable(Code::ValidationFailed, "A value is too long to be indexed")
        } else {
            failed(UNEXPECTED_FAILURE, error)
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        failed(UNEXPECTED_FAILURE, error)
    }
}
