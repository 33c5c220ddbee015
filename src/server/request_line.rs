//! One line in the log per request, with GoTrue's names (`observability/request-logger.go`).

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::instrument::Instrument as _;

use crate::config::Security;
use crate::web::client_ip;
use crate::web::reply::ErrorText;
use crate::web::request_id::RequestId;

/// Asked every second by whoever watches the server: logged only when it fails.
const HEALTH: &str = "/health";

/// Runs the request in a span with its name, and writes its line.
pub async fn write(
    State(security): State<Arc<Security>>,
    request: Request,
    next: Next,
) -> Response {
    if !tracing::enabled!(tracing::Level::ERROR) {
        return next.run(request).await;
    }
    let began = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let id = request.extensions().get::<RequestId>().cloned();
    let id = id.as_ref().map(RequestId::as_str);
    let client = client_ip::of(request.headers(), request.extensions(), &security);
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::error::{self, Result};
    use crate::server::{Settings, stack};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that one request leaves in the log.
    async fn lines(uri: &str) -> Vec<Value> {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let fail = async || {
            Result::<()>::Err(error::failed(
                "Error creating user",
                anyhow::anyhow!("the cause"),
            ))
        };
        let face = Router::new()
            .route("/health", any(async || "well"))
            .route("/token", any(async || "token"))
            .route("/fail", any(fail));
        let settings = Settings {
            request_id_header: Some(http::header::FROM),
            ..crate::server::tests::plain()
        };
        let request = Request::post(uri)
            .header("from", "id-1")
            .header("x-forwarded-for", "203.0.113.7, 10.0.0.1")
            .body(Body::empty())
            .unwrap();
        stack(&settings, face).oneshot(request).await.unwrap();
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn tells_what_was_asked_and_no_secret() {
        let lines = lines("/token?grant_type=refresh_token&token=hidden").await;
        assert_eq!(lines.len(), 1);
        let fields = &lines[0]["fields"];
        assert_eq!(fields["message"], "request completed");
        assert_eq!(fields["component"], "api");
        assert_eq!(fields["method"], "POST");
        assert_eq!(fields["path"], "/token");
        assert_eq!(fields["grant_type"], "refresh_token");
        assert_eq!(fields["remote_addr"], "203.0.113.7");
        assert_eq!(fields["request_id"], "id-1");
        assert_eq!(fields["status"], 200);
        assert!(fields["duration"].is_u64());
        assert!(fields.get("error").is_none());
        assert_eq!(lines[0]["level"], "INFO");
        assert!(!lines[0].to_string().contains("hidden"));
    }

    #[tokio::test]
    async fn tells_the_cause_of_a_failure_once() {
        let lines = lines("/fail").await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(
            lines[0]["fields"]["error"],
            "Error creating user: the cause"
        );
        assert_eq!(lines[0]["fields"]["error_code"], "unexpected_failure");
    }

    #[tokio::test]
    async fn is_silent_about_health() {
        assert!(lines("/health").await.is_empty());
    }
}
