//! The door: every error of this face leaves through here, in GoTrue's shapes (its `api/errors.go`).
//!
//! Which shape is the client's choice, by `X-Supabase-Api-Version`. Unknown paths and wrong methods
//! answer as GoTrue's router (chi) does.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, response::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use http_body_util::{BodyExt as _, Collected};
use serde::Serialize;

use crate::error::{Code, Details, Error, Failure, Refusal, UNEXPECTED_FAILURE, Unavailable};
use crate::web::redirect;
use crate::web::reply::{ErrorText, Unrendered};
use crate::web::request_id::RequestId;

mod postgres;

const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Which error shape the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ApiVersion {
    Initial,
    V20240101,
}

impl ApiVersion {
    /// Dates from 2024-01-01 on ask for the new shape; anything else, the initial one.
    fn asked(headers: &HeaderMap) -> Self {
        let date = headers
            .get(API_VERSION)
            .and_then(|value| value.to_str().ok())
            .and_then(parse_date);
        match date {
            Some(date)
                if NaiveDate::from_ymd_opt(2024, 1, 1).is_some_and(|first| date >= first) =>
            {
                Self::V20240101
            }
            _ => Self::Initial,
        }
    }
}

/// `YYYY-MM-DD`, all digits written: chrono alone would take `2024-1-1`, Go does not.
fn parse_date(text: &str) -> Option<NaiveDate> {
    let written_out = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|_| written_out)
}

/// The outermost layer of this face: renders what handlers, time limits and panics left unrendered.
pub async fn render_errors(mut request: Request, next: Next) -> Response {
    let version = ApiVersion::asked(request.headers());
    let id = request.extensions().get::<RequestId>().cloned();
    // GoTrue routes no HEAD, the router here would answer it with GET's handler.
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::TRACE;
    }
    let mut response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        // The router speaks of methods also where a layer of the method refused.
        response.headers_mut().remove(header::ALLOW);
    }
    match response.extensions_mut().remove::<Unrendered>() {
        Some(Unrendered(error)) => {
            let elsewhere = response.extensions_mut().remove::<Elsewhere>();
            let rendered = render(&error, version, id.as_ref(), response);
            match elsewhere {
                Some(elsewhere) => elsewhere.send(rendered).await,
                None => rendered,
            }
        }
        None => without_head(response),
    }
}

/// A redirect whose body ends in the rendered error, as GoTrue answers where the state of a callback is unusable.
#[derive(Clone)]
struct Elsewhere {
    target: String,
    /// Whether the body begins with the page of a redirect.
    has_page: bool,
}

/// Tells of an error and sends the browser on.
#[must_use]
pub fn elsewhere(error: Error, target: String, method: &Method) -> Response {
    let mut response = error.into_response();
    let has_page = method == Method::GET;
    response
        .extensions_mut()
        .insert(Elsewhere { target, has_page });
    response
}

impl Elsewhere {
    async fn send(self, rendered: Response) -> Response {
        let (mut told, body) = rendered.into_parts();
        let told_body = body
            .collect()
            .await
            .map(Collected::to_bytes)
            .unwrap_or_default();
        let (mut parts, page) = redirect::see_other(&self.target, &[]).into_parts();
        parts.extensions = std::mem::take(&mut told.extensions);
        let mut body = Vec::new();
        if self.has_page {
            body.extend(
                page.collect()
                    .await
                    .map(Collected::to_bytes)
                    .unwrap_or_default(),
            );
        } else {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            parts.headers.insert(header::CONTENT_TYPE, plain);
        }
        body.extend(told_body);
        Response::from_parts(parts, Body::from(body))
    }
}

/// The answer on unknown paths: chi's, which is not JSON.
pub async fn not_found() -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}

/// Takes HEAD out of the methods that a 405 allows.
fn without_head(mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(allow) = response
            .headers()
            .get(header::ALLOW)
            .and_then(|value| value.to_str().ok())
    {
        let methods: Vec<&str> = allow
            .split(',')
            .map(str::trim)
            .filter(|method| *method != "HEAD")
            .collect();
        if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    response
}

/// `{code, error_code, msg, error_id?}`: `code` is the HTTP status.
#[derive(Serialize)]
struct Initial<'a> {
    code: u16,
    error_code: &'a str,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak_password: Option<WeakPassword<'a>>,
}

/// `{code, message}`: `code` is the error code.
#[derive(Serialize)]
struct V20240101<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak_password: Option<WeakPassword<'a>>,
}

#[derive(Serialize)]
struct WeakPassword<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [&'static str],
}

/// RFC 6749 §5.2.
#[derive(Serialize)]
struct Oauth<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_description: &'a str,
}

/// What both shapes are made of.
struct Told<'a> {
    status: StatusCode,
    code: Code,
    message: &'a str,
    /// Whether the code also goes into a header: GoTrue keeps it from errors that nobody named.
    named: bool,
    /// Whether a failure tells by which id the operator finds it: GoTrue forgets that where nobody named the failure.
    identified: bool,
    weak_password: Option<&'a [&'static str]>,
}

fn render(
    error: &Error,
    version: ApiVersion,
    id: Option<&RequestId>,
    response: Response,
) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = error.status();
    if version == ApiVersion::V20240101 {
        parts
            .headers
            .insert(API_VERSION, HeaderValue::from_static("2024-01-01"));
    }
    parts
        .extensions
        .insert(ErrorText(operator_text(error).into()));
    match error {
        Error::Refused(refusal) => refused(parts, version, id, refusal),
        Error::Oauth { error, description } => json(
            parts,
            &Oauth {
                error,
                error_description: description,
            },
        ),
        Error::Unavailable(unavailable) => away(parts, version, id, unavailable),
        Error::Failed(failure) => failed(parts, version, id, failure),
    }
}

fn refused(
    mut parts: Parts,
    version: ApiVersion,
    id: Option<&RequestId>,
    refusal: &Refusal,
) -> Response {
    for (name, value) in &refusal.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            parts.headers.append(*name, value);
        }
    }
    if let Some(delay) = refusal.retry_after {
        retry_after(&mut parts, delay);
    }
    let weak_password = refusal
        .details
        .as_ref()
        .map(|Details::WeakPassword(reasons)| reasons.as_slice());
    let told = Told {
        status: refusal.status,
        code: refusal.code,
        message: &refusal.message,
        // A weak password's code stands in the header of the initial version only.
        named: refusal.named && (weak_password.is_none() || version == ApiVersion::Initial),
        identified: true,
        weak_password,
    };
    tell(parts, version, id, &told)
}

fn away(
    mut parts: Parts,
    version: ApiVersion,
    id: Option<&RequestId>,
    unavailable: &Unavailable,
) -> Response {
    retry_after(&mut parts, unavailable.retry_after);
    let told = Told {
        status: parts.status,
        code: Code::UnexpectedFailure,
        message: unavailable.message,
        named: true,
        identified: true,
        weak_password: None,
    };
    tell(parts, version, id, &told)
}

fn failed(
    mut parts: Parts,
    version: ApiVersion,
    id: Option<&RequestId>,
    failure: &Failure,
) -> Response {
    let named = failure.message != UNEXPECTED_FAILURE;
    if named
        && version == ApiVersion::Initial
        && let Some(passed) = postgres::passthrough(&failure.cause)
    {
        parts.status = passed.status;
        parts.headers.insert(
            ERROR_CODE,
            HeaderValue::from_static(Code::UnexpectedFailure.as_str()),
        );
        return json(parts, &passed);
    }
    let told = Told {
        status: parts.status,
        code: Code::UnexpectedFailure,
        message: &failure.message,
        named,
        identified: named,
        weak_password: None,
    };
    tell(parts, version, id, &told)
}

fn tell(
    mut parts: Parts,
    version: ApiVersion,
    id: Option<&RequestId>,
    told: &Told<'_>,
) -> Response {
    if told.named {
        parts
            .headers
            .insert(ERROR_CODE, HeaderValue::from_static(told.code.as_str()));
    }
    let weak_password = told.weak_password.map(|reasons| WeakPassword { reasons });
    match version {
        ApiVersion::V20240101 => json(
            parts,
            &V20240101 {
                code: told.code.as_str(),
                message: told.message,
                weak_password,
            },
        ),
        ApiVersion::Initial => {
            let error_id = id
                .filter(|_| told.identified && told.status.as_u16() >= 500)
                .map(RequestId::as_str);
            let (code, error_code, msg) = (told.status.as_u16(), told.code.as_str(), told.message);
            json(
                parts,
                &Initial {
                    code,
                    error_code,
                    msg,
                    error_id,
                    weak_password,
                },
            )
        }
    }
}

fn retry_after(parts: &mut Parts, delay: Duration) {
    // Whole seconds, rounded up: asking a moment early would be refused again.
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    parts
        .headers
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}

fn json(mut parts: Parts, body: &impl Serialize) -> Response {
    parts.headers.insert(header::CONTENT_TYPE, JSON);
    // The placeholder's own length would be a lie now.
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = serde_json::to_vec(body).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}

/// What the operator reads. Postgres' DETAIL is left out: it may quote the row.
fn operator_text(error: &Error) -> Cow<'static, str> {
    match error {
        Error::Refused(refusal) => {
            format!("{}: {}", refusal.status.as_u16(), refusal.message).into()
        }
        Error::Oauth { error, description } => format!("{error}: {description}").into(),
        Error::Unavailable(Unavailable {
            cause: None,
            message,
            ..
        }) => (*message).into(),
        Error::Unavailable(Unavailable {
            cause: Some(cause), ..
        }) => format!("{cause:#}").into(),
        Error::Failed(failure) if failure.message == UNEXPECTED_FAILURE => {
            format!("{:#}", failure.cause).into()
        }
        Error::Failed(failure) => format!("{}: {:#}", failure.message, failure.cause).into(),
    }
}

#[cfg(test)]
mod tests;
