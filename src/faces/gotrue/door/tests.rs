//! The door, driven as the stack drives it.

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::error::{self, Result, bad_request, too_many_requests, unprocessable};

async fn ask(error: fn() -> Error, version: &str) -> (StatusCode, HeaderMap, String) {
    let handler = move || async move { Result::<()>::Err(error()) };
    send("GET", "/", version, Router::new().route("/", get(handler))).await
}

async fn send(
    method: &str,
    path: &str,
    version: &str,
    router: Router,
) -> (StatusCode, HeaderMap, String) {
    let id = RequestId::of(
        &HeaderMap::from_iter([(header::FROM, HeaderValue::from_static("id-1"))]),
        Some(&header::FROM),
    );
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap();
    request
        .headers_mut()
        .insert(API_VERSION, version.parse().unwrap());
    request.extensions_mut().insert(id.unwrap());
    let service = tower::ServiceBuilder::new()
        .layer(from_fn(render_errors))
        .service(router.fallback(not_found));
    let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn refusals_have_two_shapes() {
    let refuse = || bad_request(Code::ValidationFailed, "missing <email> or \"phone\"");
    let (status, headers, body) = ask(refuse, "").await;
    assert_eq!(status, 400);
    assert_eq!(headers["x-sb-error-code"], "validation_failed");
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key(API_VERSION));
    assert_eq!(
        body,
        r#"{"code":400,"error_code":"validation_failed","msg":"missing <email> or \"phone\""}"#
    );

    let (_, headers, body) = ask(refuse, "2024-01-01").await;
    assert_eq!(headers["x-sb-error-code"], "validation_failed");
    assert_eq!(headers["x-supabase-api-version"], "2024-01-01");
    assert_eq!(
        body,
        r#"{"code":"validation_failed","message":"missing <email> or \"phone\""}"#
    );
}

#[tokio::test]
async fn the_version_is_a_whole_date() {
    let refuse = || bad_request(Code::BadJson, "no");
    for (version, new) in [
        ("2024-01-01", true),
        ("2031-12-31", true),
        ("2023-12-31", false),
        ("2024-1-1", false),
        ("2024-02-30", false),
        ("+2024-1-01", false),
        ("tomorrow", false),
    ] {
        let (_, headers, _) = ask(refuse, version).await;
        assert_eq!(headers.contains_key(API_VERSION), new, "{version}");
    }
}

#[tokio::test]
async fn a_weak_password_says_why() {
    let weak = || {
        unprocessable(Code::WeakPassword, "Too short.")
            .with_details(Details::WeakPassword(vec!["length", "pwned"]))
    };
    let (_, headers, body) = ask(weak, "").await;
    assert_eq!(headers["x-sb-error-code"], "weak_password");
    assert_eq!(
        body,
        r#"{"code":422,"error_code":"weak_password","msg":"Too short.","weak_password":{"reasons":["length","pwned"]}}"#
    );
    let (_, headers, body) = ask(weak, "2024-01-01").await;
    assert!(!headers.contains_key(ERROR_CODE));
    assert_eq!(
        body,
        r#"{"code":"weak_password","message":"Too short.","weak_password":{"reasons":["length","pwned"]}}"#
    );
}

#[tokio::test]
async fn failures_tell_the_request_and_nothing_else() {
    let fail = || {
        error::failed(
            "Database error saving new user",
            anyhow::anyhow!("secret cause"),
        )
    };
    let (status, headers, body) = ask(fail, "").await;
    assert_eq!(status, 500);
    assert_eq!(headers["x-sb-error-code"], "unexpected_failure");
    assert_eq!(
        body,
        r#"{"code":500,"error_code":"unexpected_failure","msg":"Database error saving new user","error_id":"id-1"}"#
    );
    let (_, headers, body) = ask(|| anyhow::anyhow!("secret cause").into(), "").await;
    assert!(!headers.contains_key(ERROR_CODE));
    assert_eq!(
        body,
        r#"{"code":500,"error_code":"unexpected_failure","msg":"Unexpected failure, please check server logs for more information"}"#
    );
    let (_, _, body) = ask(fail, "2024-01-01").await;
    assert_eq!(
        body,
        r#"{"code":"unexpected_failure","message":"Database error saving new user"}"#
    );
}

#[tokio::test]
async fn constraint_errors_pass_in_the_initial_version() {
    let taken = || {
        let info = Box::new("duplicate key value".to_owned());
        let cause = diesel::result::Error::DatabaseError(
            diesel::result::DatabaseErrorKind::UniqueViolation,
            info,
        );
        error::failed("Error updating user", cause)
    };
    let (status, headers, body) = ask(taken, "").await;
    assert_eq!(
        (status.as_u16(), &headers["x-sb-error-code"]),
        (500, &HeaderValue::from_static("unexpected_failure"))
    );
    assert_eq!(body, r#"{"code":"23505","message":"duplicate key value"}"#);
    let (_, _, body) = ask(taken, "2024-01-01").await;
    assert_eq!(
        body,
        r#"{"code":"unexpected_failure","message":"Error updating user"}"#
    );
}

#[tokio::test]
async fn waiting_is_told_in_whole_seconds() {
    let often = || {
        too_many_requests(
            Code::OverRequestRateLimit,
            "Request rate limit reached",
            Some(Duration::from_millis(1200)),
        )
    };
    assert_eq!(ask(often, "").await.1["retry-after"], "2");
    let (status, headers, body) =
        ask(|| Error::database_away(anyhow::anyhow!("refused")), "").await;
    assert_eq!(
        (status.as_u16(), &headers["retry-after"]),
        (503, &HeaderValue::from_static("1"))
    );
    assert!(body.contains(r#""error_id":"id-1""#), "{body}");
    let (_, _, body) = ask(error::timed_out, "").await;
    assert!(
        body.contains("request_timeout") && body.contains(r#""error_id":"id-1""#),
        "{body}"
    );
}

#[tokio::test]
async fn oauth_errors_keep_their_shape() {
    for version in ["", "2024-01-01"] {
        let (status, headers, body) = ask(
            || Error::Oauth {
                error: "invalid_grant".into(),
                description: "".into(),
            },
            version,
        )
        .await;
        assert_eq!(status, 400);
        assert!(!headers.contains_key(ERROR_CODE));
        assert_eq!(body, r#"{"error":"invalid_grant"}"#);
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_answer_as_chi() {
    let router = || {
        Router::new()
            .route("/verify", get(async || "got").post(async || "posted"))
            .route("/token", post(async || ""))
    };
    let (status, headers, body) = send("GET", "/nope", "", router()).await;
    assert_eq!(
        (status.as_u16(), body.as_str()),
        (404, "404 page not found\n")
    );
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    for (method, path, allow) in [
        ("PUT", "/verify", "GET, POST"),
        ("HEAD", "/verify", "GET, POST"),
        ("GET", "/token", "POST"),
    ] {
        let (status, headers, body) = send(method, path, "", router()).await;
        assert_eq!(
            (status.as_u16(), body.as_str()),
            (405, ""),
            "{method} {path}"
        );
        assert_eq!(headers["allow"], allow, "{method} {path}");
    }
    assert_eq!(send("HEAD", "/nope", "", router()).await.0, 404);
}
