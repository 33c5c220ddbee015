//! What a hook's answer means, whichever hook it is.

use anyhow::anyhow;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::media_type;
use crate::error::{Code, Error, bad_request, failed, said_by_hook, unprocessable};
use crate::outside::client::read_at_most;

/// The longest answer, in bytes.
pub(super) const MAX_ANSWER: usize = 200 * 1024;

/// What is to be done with an answer.
pub(super) enum Answer {
    /// It has these members.
    Said(Map<String, Value>),
    /// The hook asks to be asked again.
    Later,
}

/// Why there is no answer.
pub(super) enum Unread {
    /// The caller is told so.
    Refused(Error),
    /// It breaks off.
    Broken(anyhow::Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Reads an answer as far as `deadline` allows.
pub(super) async fn read(response: Response, deadline: Instant) -> Result<Answer, Unread> {
    let why = || anyhow!("the hook answered {}", response.status());
    match response.status() {
        StatusCode::NO_CONTENT => return Ok(Answer::Said(Map::new())),
        StatusCode::OK | StatusCode::ACCEPTED => {}
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let asks_again = response
                .headers()
                .get(RETRY_AFTER)
                .is_some_and(|value| !value.is_empty());
            return if asks_again {
                Ok(Answer::Later)
            } else {
                Err(unavailable().into())
            };
        }
        StatusCode::BAD_REQUEST => {
            return Err(failed("Invalid payload sent to hook", why()).into());
        }
        StatusCode::UNAUTHORIZED => {
            return Err(failed("Hook requires authorization token", why()).into());
        }
        status => {
            let message = format!(
                "Unexpected status code returned from hook: {}",
                status.as_u16()
            );
            return Err(failed(message, why()).into());
        }
    }
    check_content_type(&response)?;
    let body = match timeout_at(deadline, read_at_most(response, MAX_ANSWER)).await {
        Err(_) => return Err(Unread::Broken(anyhow!("the answer takes too long"))),
        Ok(Err(error)) => return Err(Unread::Broken(error)),
        Ok(Ok(body)) => body,
    };
    let body = body.ok_or_else(|| {
        unprocessable(
            Code::HookPayloadOverSizeLimit,
            format!("Payload size exceeded size limit of {MAX_ANSWER} bytes"),
        )
    })?;
    Ok(Answer::Said(members(&body)?))
}

pub(super) fn unavailable() -> Error {
    failed(
        "Service currently unavailable due to hook",
        anyhow!("the hook has no time"),
    )
}

fn check_content_type(response: &Response) -> Result<(), Error> {
    let invalid = |message: String| bad_request(Code::HookPayloadInvalidContentType, message);
    let header = response.headers().get(CONTENT_TYPE);
    let header = header.map_or("".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    if header.is_empty() {
        return Err(invalid(
            "Invalid Content-Type: Missing Content-Type header".into(),
        ));
    }
    match media_type::parse(&header) {
        Err(fault) => Err(invalid(format!("Invalid Content-Type header: {fault}"))),
        Ok(media_type) if media_type != "application/json" => Err(invalid(format!(
            "Invalid JSON response. Received content-type: {header}"
        ))),
        Ok(_) => Ok(()),
    }
}

/// The members of an answer. An `error` with a message refuses, with the hook's own status and words.
fn members(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let members = serde_json::from_slice::<Option<Map<String, Value>>>(body)
        .map(Option::unwrap_or_default)
        .map_err(|error| failed("Error unmarshaling JSON output.", error))?;
    match refusal(&members) {
        Some(refusal) => Err(refusal),
        None => Ok(members),
    }
}

/// What the hook refuses with. Where a member is of another type, GoTrue sees no error at all.
fn refusal(members: &Map<String, Value>) -> Option<Error> {
    let said = member(members, "error")?.as_object()?;
    let message = member(said, "message")?.as_str();
    let message = message.filter(|message| !message.is_empty())?;
    let code = match member(said, "http_code") {
        None | Some(Value::Null) => 0,
        Some(code) => code.as_i64()?,
    };
    let status = u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        // What is no final status cannot be answered with.
        .filter(|status| !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(said_by_hook(status, message.to_owned()))
}

/// A member as Go finds it: by its name in any case.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut members = members.iter();
    let named = members.find(|(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value)
}
