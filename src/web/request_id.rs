//! One name per request, for logs, audit lines and error reports.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// Names the request in every answer, so that a reported problem can be found in the logs.
pub const SB_REQUEST_ID: HeaderName = HeaderName::from_static("sb-request-id");

/// Longer ids from outside are not ids.
const MAX_LENGTH: usize = 255;

/// The name of one request; it hangs on the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The configured header's value, or a random UUID when no header is configured.
    ///
    /// `None`: a header is configured and this request lacks it. Then GoTrue knows the request by no
    /// name either (`observability/request-logger.go`).
    #[must_use]
    pub fn of(headers: &HeaderMap, configured: Option<&HeaderName>) -> Option<Self> {
        match configured {
            None => HeaderValue::from_maybe_shared(Uuid::new_v4().to_string())
                .ok()
                .map(Self),
            Some(name) => headers
                .get(name)
                .filter(|value| is_id(value))
                .cloned()
                .map(Self),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header's value.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_id(value: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&value.len()) && value.to_str().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_random_unless_a_header_is_configured() {
        let (one, two) = (
            RequestId::of(&HeaderMap::new(), None),
            RequestId::of(&HeaderMap::new(), None),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one.as_str(), two.as_str());
        assert!(Uuid::try_parse(one.as_str()).is_ok());
    }

    #[test]
    fn is_the_configured_headers_value_or_nothing() {
        let name = HeaderName::from_static("x-request-id");
        let mut headers = HeaderMap::new();
        assert!(RequestId::of(&headers, Some(&name)).is_none());
        headers.insert(&name, HeaderValue::from_static("abc"));
        assert_eq!(
            RequestId::of(&headers, Some(&name)).unwrap().as_str(),
            "abc"
        );
        headers.insert(&name, HeaderValue::from_bytes(&[b'a', 0xff]).unwrap());
        assert!(RequestId::of(&headers, Some(&name)).is_none());
        headers.insert(&name, HeaderValue::from_str(&"a".repeat(300)).unwrap());
        assert!(RequestId::of(&headers, Some(&name)).is_none());
    }
}
