//! `/user`: the caller's own account.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::authorize;
use super::caller::{Caller, Visitor};
use super::views::{UserView, done};
use crate::app::App;
use crate::auth::link;
use crate::auth::user::{self, Changes};
use crate::error::Result;
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::json::Json;
use crate::web::limits::Bucket;
use crate::web::redirect;

params! {
    /// What is to change.
    struct UserUpdateParams {
        email: String,
        password: Option<SecretString>,
        current_password: Option<SecretString>,
        nonce: String,
        data: Option<Map<String, Value>>,
        app_metadata: Option<Map<String, Value>>,
        phone: String,
        channel: String,
        code_challenge: String,
        code_challenge_method: String,
    }
}

/// `GET /user`.
pub async fn show(Caller(bearer): Caller, visitor: Visitor) -> Result<Response> {
    user::check_audience(&visitor.client, &bearer)?;
    Ok(Json(UserView::from(&bearer.user)).into_response())
}

/// `PUT /user`.
pub async fn update(
    State(app): State<App>,
    Caller(bearer): Caller,
    visitor: Visitor,
    body: Body,
) -> Result<Response> {
    visitor.limit(&app, Bucket::User)?;
    let said: UserUpdateParams = body.json()?;
    let exposed =
        |secret: Option<SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
    let changes = Changes {
        email: said.email,
        password: exposed(said.password),
        current_password: exposed(said.current_password),
        nonce: said.nonce,
        data: said.data,
        app_metadata: said.app_metadata,
        phone: said.phone,
        channel: said.channel,
        code_challenge: said.code_challenge,
        code_challenge_method: said.code_challenge_method,
    };
    let user = user::update(&app, &visitor.client, &bearer, changes).await?;
    Ok(Json(UserView::from(&user)).into_response())
}

/// Lets nothing below `/user/identities` pass where linking by hand is switched off.
pub async fn require_linking(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response> {
    link::check_enabled(&app)?;
    Ok(next.run(request).await)
}

/// `GET /user/identities/authorize`: off to a provider whose identity is to be added to the account.
pub async fn link_identity(
    State(app): State<App>,
    Caller(bearer): Caller,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response> {
    link::check_fresh(&app, &bearer)?;
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let address = authorize::address(&app, &visitor, &query, Some(bearer.user.id)).await?;
    if query.get("skip_http_redirect") == "true" {
        return Ok(Json(json!({ "url": address })).into_response());
    }
    Ok(redirect::found(&address, &[]))
}

/// `DELETE /user/identities/{identity_id}`.
pub async fn unlink_identity(
    State(app): State<App>,
    Caller(bearer): Caller,
    visitor: Visitor,
    identity_id: Result<Path<String>, PathRejection>,
) -> Result<Response> {
    // What is no UTF-8 is no id.
    let identity_id = identity_id.map(|Path(id)| id).unwrap_or_default();
    link::unlink(&app, &visitor.client, &bearer, &identity_id).await?;
    Ok(done())
}

/// `DELETE /user/identities/authorize`: to GoTrue's router an identity by that id.
pub async fn unlink_identity_authorize(
    state: State<App>,
    caller: Caller,
    visitor: Visitor,
) -> Result<Response> {
    unlink_identity(state, caller, visitor, Ok(Path("authorize".to_owned()))).await
}
