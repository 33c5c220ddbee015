//! How an error leaves a handler: unrendered, in the response's extensions, for the face's door.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::Error;

/// An error on its way to the door, which renders it.
#[derive(Debug, Clone)]
pub struct Unrendered(pub Arc<Error>);

/// What the request line tells the operator about an error; the door puts it beside the rendered answer.
#[derive(Debug, Clone)]
pub struct ErrorText(pub Arc<str>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(Unrendered(Arc::new(self)));
        response
    }
}

impl Error {
    /// The HTTP status that every face answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status,
            Self::Oauth { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
