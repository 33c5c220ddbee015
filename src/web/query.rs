//! What no query may hold.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{Code, bad_request};

/// Refuses a NUL character in a query: many parameters go to the database, and Postgres cannot take it.
pub async fn refuse_nul(request: Request, next: Next) -> Response {
    if has_nul(request.uri().query().unwrap_or_default()) {
        let message = "the query must not contain a NUL character";
        return bad_request(Code::ValidationFailed, message).into_response();
    }
    next.run(request).await
}

fn has_nul(query: &str) -> bool {
    query.contains("%00")
}

#[cfg(test)]
mod tests {
    use super::has_nul;

    #[test]
    fn nul_is_found() {
        assert!(has_nul("filter=a%00b") && has_nul("a%00=1"));
        assert!(!has_nul("filter=a%200b&c=00") && !has_nul(""));
    }
}
