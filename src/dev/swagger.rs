//! Swagger UI at `/swagger`, over the description in `swagger/`: what `dev` always serves, and `serve` on demand.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{StatusCode, header};
use utoipa_swagger_ui::Config;

const GOTRUE: &str = include_str!("../../swagger/gotrue.yaml");

/// The page, its files and the description. Addresses are relative: it works below a path prefix as well.
pub fn router() -> Router {
    // `swagger/` resolves to `/swagger/` and, behind a prefix, to `/auth/v1/swagger/`.
    Router::new()
        .route("/swagger", get(async || Redirect::permanent("swagger/")))
        .route("/swagger/", get(async || file("index.html")))
        .route(
            "/swagger/gotrue.yaml",
            get(async || ([(header::CONTENT_TYPE, "application/yaml")], GOTRUE)),
        )
        .route(
            "/swagger/{file}",
            get(async |Path(name): Path<String>| file(&name)),
        )
}

fn file(name: &str) -> Response {
    let config = Arc::new(Config::from("gotrue.yaml"));
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => (
            [(header::CONTENT_TYPE, file.content_type)],
            file.bytes.into_owned(),
        )
            .into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str) -> (http::response::Parts, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router().oneshot(request).await.unwrap().into_parts();
        (
            head,
            String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned(),
        )
    }

    #[tokio::test]
    async fn the_page_finds_its_files_and_our_description() {
        let (head, _) = get("/swagger").await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["location"]),
            (308, &"swagger/".parse().unwrap())
        );
        let (head, page) = get("/swagger/").await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["content-type"]),
            (200, &"text/html".parse().unwrap())
        );
        let sources = page
            .split("src=\"")
            .skip(1)
            .chain(page.split("href=\"").skip(1))
            .filter_map(|part| part.split('"').next());
        for source in sources.map(|source| source.trim_start_matches("./")) {
            assert_eq!(
                get(&format!("/swagger/{source}")).await.0.status,
                200,
                "{source}"
            );
        }
        let (_, script) = get("/swagger/swagger-initializer.js").await;
        assert!(script.contains("\"gotrue.yaml\""), "{script}");
        assert!(get("/swagger/gotrue.yaml").await.1.starts_with("openapi:"));
        assert_eq!(get("/swagger/none.js").await.0.status, 404);
    }
}
