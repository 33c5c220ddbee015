//! `POST /invite`.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::{Map, Value};

use super::caller::{Operator, Visitor};
use super::views::UserView;
use crate::app::App;
use crate::auth;
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::json::Json;

params! {
    /// Who is invited.
    struct InviteParams {
        email: String,
        data: Map<String, Value>,
    }
}

/// Invites somebody.
pub async fn invite(
    State(app): State<App>,
    Operator(admin): Operator,
    visitor: Visitor,
    body: Body,
) -> Result<Response> {
    let said: InviteParams = body.json()?;
    let user = auth::invite::invite(&app, &visitor.client, &admin, &said.email, said.data).await?;
    Ok(Json(UserView::from(&user)).into_response())
}
