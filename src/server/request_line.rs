//! One line in the log per request, with GoTrue's names (`observability/request-logger.go`).

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::instrument::Instrument as _;

use crate::web::reply::ErrorText;
use crate::web::request_id::RequestId;

/// Asked every second by whoever watches the server: logged only when it fails.
const HEALTH: &str = "/health";

/// Runs the request in a span with its name, and writes its line.
pub async fn write(request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::ERROR) {
        return next.run(request).await;
    }
    let began = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let id = request.extensions().get::<RequestId>().cloned();
    let id = id.as_ref().map(RequestId::as_str);
    let client = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip());
    // `auth_event` is recorded by the act that happens.
    let span = tracing::info_span!("request", request_id = id, auth_event = Empty);
    let response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    if uri.path() == HEALTH && !status.is_server_error() {
        return response;
    }
    let _within = span.enter();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                component = "api",
                method = method.as_str(),
                // Without the query: it carries tokens.
                path = uri.path(),
                remote_addr = client.map(tracing::field::display),
                grant_type = grant_type(uri.path(), uri.query()),
                request_id = id,
                status = status.as_u16(),
                duration = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
                error_code = response
                    .headers()
                    .get("x-sb-error-code")
                    .and_then(|code| code.to_str().ok()),
                error = response
                    .extensions()
                    .get::<ErrorText>()
                    .map(|ErrorText(text)| text.as_ref()),
                "request completed"
            )
        };
    }
    if status.is_server_error() {
        line!(error);
    } else if status.is_client_error() {
        line!(warn);
    } else {
        line!(info);
    }
    response
}

/// Which grant `/token` was asked for.
fn grant_type<'a>(path: &str, query: Option<&'a str>) -> Option<&'a str> {
    let query = query.filter(|_| path == "/token")?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("grant_type="))
}
