//! `GET /reauthenticate`.

use axum::extract::State;
use axum::response::Response;

use super::caller::{Caller, Visitor};
use super::views::done;
use crate::app::App;
use crate::auth::reauthenticate;
use crate::error::Result;

/// Sends a nonce.
pub async fn send(
    State(app): State<App>,
    Caller(bearer): Caller,
    visitor: Visitor,
) -> Result<Response> {
    reauthenticate::send_nonce(&app, &visitor.client, &bearer.user).await?;
    Ok(done())
}
