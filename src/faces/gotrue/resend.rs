//! `POST /resend`.

use axum::extract::State;
use axum::response::Response;

use super::caller::Visitor;
use super::views::sent;
use crate::app::App;
use crate::auth::resend::{self, Params};
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::limits::Bucket;

params! {
    /// What is to be sent again.
    struct ResendConfirmationParams {
        kind as "type": String,
        email: String,
        phone: String,
        code_challenge: String,
        code_challenge_method: String,
    }
}

/// Sends a mail or a text message once more.
pub async fn resend(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.limit(&app, Bucket::Resend)?;
    visitor.check_captcha(&app, &body).await?;
    let said: ResendConfirmationParams = body.json()?;
    let params = Params {
        kind: said.kind,
        email: said.email,
        phone: said.phone,
        code_challenge: said.code_challenge,
        code_challenge_method: said.code_challenge_method,
    };
    let message_id = resend::resend(&app, &visitor.client, &params).await?;
    Ok(sent(message_id))
}
