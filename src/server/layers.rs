//! The small layers of the stack, one function each.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderName, Uri};
use http_body_util::Limited;
use hyper::body::Body as _;

use crate::error;
use crate::web::body::MAX_BYTES;
use crate::web::request_id::{RequestId, SB_REQUEST_ID};

/// Takes the prefix off paths that have it; others stay.
pub fn strip_prefix(prefix: Option<String>) -> impl Fn(Request) -> Request + Clone {
    let prefix = prefix
        .map(|prefix| format!("/{}", prefix.trim_matches('/')))
        .filter(|prefix| prefix != "/");
    move |mut request| {
        if let Some(prefix) = &prefix
            && let Some(uri) = below(request.uri(), prefix)
        {
            *request.uri_mut() = uri;
        }
        request
    }
}

fn below(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    let rest = match rest.as_bytes().first() {
        Some(b'/') => PathAndQuery::try_from(rest),
        Some(b'?') | None => PathAndQuery::try_from(format!("/{rest}")),
        // `/auth/v10` is not below `/auth/v1`.
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.ok()?);
    Uri::from_parts(parts).ok()
}

/// Names the request, and says the name in the answer.
pub async fn name_request(
    State(header): State<Option<HeaderName>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(id) = RequestId::of(request.headers(), header.as_ref()) else {
        return next.run(request).await;
    };
    let said = id.header();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    response.headers_mut().insert(SB_REQUEST_ID, said);
    response
}

/// GoTrue's words for a panic (its `recoverer`); the cause goes to the operator.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is tower-http's"
)]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    let cause = anyhow::anyhow!("panicked: {}", text.unwrap_or("no message"));
    error::failed("Internal Server Error", cause).into_response()
}

/// Gives up on a request that takes too long; zero waits for ever.
pub async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    if limit.is_zero() {
        return next.run(request).await;
    }
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| error::timed_out().into_response())
}

/// Ends a longer body with an error, which its reader turns into a 413; an unread one harms nobody.
pub fn limit_body(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Limited::new(body, MAX_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(prefix: &str, uri: &'static str) -> String {
        let strip = strip_prefix(Some(prefix.to_owned()));
        strip(Request::builder().uri(uri).body(Body::empty()).unwrap())
            .uri()
            .to_string()
    }

    #[test]
    fn the_prefix_ends_at_a_slash() {
        for prefix in ["/auth/v1", "auth/v1", "/auth/v1/"] {
            assert_eq!(
                stripped(prefix, "/auth/v1/token?grant_type=password"),
                "/token?grant_type=password"
            );
            assert_eq!(stripped(prefix, "/auth/v1"), "/");
            assert_eq!(stripped(prefix, "/auth/v1?x=1"), "/?x=1");
            assert_eq!(stripped(prefix, "/auth/v1/"), "/");
            assert_eq!(
                stripped(prefix, "http://host/auth/v1/user"),
                "http://host/user"
            );
            assert_eq!(stripped(prefix, "/auth/v10/token"), "/auth/v10/token");
            assert_eq!(stripped(prefix, "/token"), "/token");
            assert_eq!(stripped(prefix, "/auth/v1/auth/v1/token"), "/auth/v1/token");
        }
        assert_eq!(stripped("/", "/token"), "/token");
        assert_eq!(stripped("", "/token"), "/token");
    }
}
