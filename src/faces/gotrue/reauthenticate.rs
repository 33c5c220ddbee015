//! `GET /reauthenticate`.

use axum::extract::State;
use axum::response::Response;

use super::caller::{Caller, Visitor};
use super::views::sent;
use crate::app::App;
use crate::auth::reauthenticate;
use crate::error::Result;

/// Sends a nonce.
pub async fn send(
    State(app): State<App>,
    Caller(bearer): Caller,
    visitor: Visitor,
) -> Result<Response> {
    let message_id = reauthenticate::send_nonce(&app, &visitor.client, &bearer.user).await?;
    Ok(sent(message_id))
}
