//! `POST /otp`.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value};

use super::caller::Visitor;
use super::views::sent;
use crate::app::App;
use crate::auth::magiclink::{self, Params};
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::limits::Bucket;

params! {
    /// Who wants a code.
    struct OtpParams {
        email: String,
        phone: String,
        create_user: bool = true,
        data: Map<String, Value>,
        channel: String,
        code_challenge_method: String,
        code_challenge: String,
    }
}

/// Sends a code.
pub async fn send(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.limit(&app, Bucket::Otp)?;
    visitor.check_captcha(&app, &body).await?;
    let said: OtpParams = body.json()?;
    let params = Params {
        email: said.email,
        phone: said.phone,
        create_user: said.create_user,
        data: said.data,
        channel: said.channel,
        code_challenge: said.code_challenge,
        code_challenge_method: said.code_challenge_method,
    };
    let message_id = magiclink::send_otp(&app, &visitor.client, params).await?;
    Ok(sent(message_id))
}
