//! `POST /logout`.

use axum::extract::{RawQuery, State};
use http::StatusCode;

use super::caller::Caller;
use crate::app::App;
use crate::auth::logout;
use crate::error::Result;
use crate::urls::query::Pairs;

/// Ends sessions by `scope`.
pub async fn logout(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    Caller(bearer): Caller,
) -> Result<StatusCode> {
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let scope = logout::parse_scope(query.get("scope"))?;
    logout::sign_out(&app, &bearer, scope).await?;
    Ok(StatusCode::NO_CONTENT)
}
