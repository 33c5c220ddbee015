//! A public JSON document that is written once and served often.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

const CACHED: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=600"),
);
const JSON: (HeaderName, HeaderValue) = (
    header::CONTENT_TYPE,
    HeaderValue::from_static("application/json"),
);

/// The bytes of a document, with their entity tag (RFC 9110 §8.8.3).
#[derive(Debug, Clone)]
pub struct Document {
    body: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// A document of this text.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, &body));
        let etag = HeaderValue::from_maybe_shared(format!("\"{digest}\""));
        Self {
            body,
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    /// The document, or 304 for those who have it.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let etag = (header::ETAG, self.etag.clone());
        if headers.get(header::IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, [CACHED, etag]).into_response();
        }
        ([JSON, CACHED, etag], self.body.clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_of_the_text() {
        let etag = |text: &'static str| {
            let answer = Document::new(text).answer(&HeaderMap::new());
            assert_eq!(answer.status(), StatusCode::OK);
            answer.headers()[header::ETAG].clone()
        };
        assert_eq!(etag("{}"), etag("{}"));
        assert_ne!(etag("{}"), etag("{\"keys\":[]}"));
    }

    #[test]
    fn who_has_it_need_not_read_it_again() {
        let document = Document::new("{}");
        let tag = document.answer(&HeaderMap::new()).headers()[header::ETAG].clone();
        let asked = |tag: HeaderValue| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
            document.answer(&headers).status()
        };
        assert_eq!(asked(tag), StatusCode::NOT_MODIFIED);
        assert_eq!(asked(HeaderValue::from_static("\"x\"")), StatusCode::OK);
    }
}
