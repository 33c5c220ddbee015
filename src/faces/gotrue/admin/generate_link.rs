//! `POST /admin/generate_link`.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::caller::{Operator, Visitor};
use super::super::views::UserView;
use crate::app::App;
use crate::auth::generate_link::{self, Params};
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::json::Json;

params! {
    /// Which link.
    struct GenerateLinkParams {
        kind as "type": String,
        email: String,
        new_email: String,
        password: SecretString,
        data: Map<String, Value>,
        redirect_to: String,
    }
}

/// The user's members, and the link's beside them.
#[derive(Serialize)]
struct LinkView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    action_link: &'a str,
    email_otp: &'a str,
    hashed_token: &'a str,
    verification_type: &'a str,
    redirect_to: &'a str,
}

/// Makes a link.
pub async fn generate(
    State(app): State<App>,
    Operator(operator): Operator,
    mut visitor: Visitor,
    body: Body,
) -> Result<Response> {
    let said: GenerateLinkParams = body.json()?;
    let params = Params {
        kind: said.kind,
        email: said.email,
        new_email: said.new_email,
        password: said.password.expose_secret().to_owned(),
        data: said.data,
    };
    if app.redirects.allows(&said.redirect_to) {
        visitor.client.redirect_to = said.redirect_to;
    }
    let link = generate_link::generate(&app, &visitor.client, &operator, params).await?;
    let view = LinkView {
        user: UserView::from(&link.user),
        action_link: &link.action_link,
        email_otp: &link.email_otp,
        hashed_token: &link.hashed_token,
        verification_type: &link.verification_type,
        redirect_to: &visitor.client.redirect_to,
    };
    Ok(Json(view).into_response())
}
