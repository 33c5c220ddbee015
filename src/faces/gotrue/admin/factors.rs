//! `/admin/users/{user_id}/factors` and `/passkeys`.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use http::StatusCode;

use super::super::caller::{Operator, Visitor};
use super::super::views::{FactorView, PasskeyView};
use super::subject::{Subject, SubjectFactor};
use crate::app::App;
use crate::auth::admin::factors;
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::json::Json;

params! {
    /// What is to change of a factor.
    #[expect(non_camel_case_types, reason = "GoTrue's name stands in messages")]
    struct adminUserUpdateFactorParams {
        friendly_name: String,
        phone: String,
    }
}

/// `GET /admin/users/{user_id}/factors`.
pub async fn list(Subject(user): Subject) -> Response {
    Json(
        user.factors
            .iter()
            .map(FactorView::from)
            .collect::<Vec<_>>(),
    )
    .into_response()
}

/// `PUT /admin/users/{user_id}/factors/{factor_id}`.
pub async fn update(
    State(app): State<App>,
    Operator(operator): Operator,
    Subject(user): Subject,
    SubjectFactor(factor): SubjectFactor,
    body: Body,
) -> Result<Response> {
    let said: adminUserUpdateFactorParams = body.json()?;
    let (name, phone) = (&said.friendly_name, &said.phone);
    let factor = factors::update(&app, &operator, &user, factor, name, phone).await?;
    Ok(Json(FactorView::from(&factor)).into_response())
}

/// `DELETE /admin/users/{user_id}/factors/{factor_id}`.
pub async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Subject(user): Subject,
    SubjectFactor(factor): SubjectFactor,
) -> Result<Response> {
    let factor = factors::delete(&app, &visitor.client, &user, factor).await?;
    Ok(Json(FactorView::from(&factor)).into_response())
}

/// `GET /admin/users/{user_id}/passkeys`.
pub async fn list_passkeys(State(app): State<App>, Subject(user): Subject) -> Result<Response> {
    let passkeys = factors::list_passkeys(&app, &user).await?;
    Ok(Json(passkeys.iter().map(PasskeyView::from).collect::<Vec<_>>()).into_response())
}

/// `DELETE /admin/users/{user_id}/passkeys/{passkey_id}`.
pub async fn delete_passkey(
    State(app): State<App>,
    Subject(user): Subject,
    Path((_, passkey_id)): Path<(String, String)>,
) -> Result<StatusCode> {
    factors::delete_passkey(&app, &user, &passkey_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
