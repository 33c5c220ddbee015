//! A JSON answer, as Go writes it.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

pub use crate::json::{Time, to_vec};

/// A JSON answer, with GoTrue's Content-Type (no charset).
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match to_vec(&self.0) {
            Ok(text) => (
                [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                Bytes::from(text),
            )
                .into_response(),
            Err(error) => error.into_response(),
        }
    }
}
