//! `POST /magiclink`, the older form of `/otp`.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value};

use super::caller::Visitor;
use super::views::done;
use crate::app::App;
use crate::auth::magiclink::{self, Params};
use crate::error::Result;
use crate::params;
use crate::web::body::Body;
use crate::web::limits::Bucket;

params! {
    /// Who wants a link.
    struct MagicLinkParams {
        email: String,
        data: Map<String, Value>,
        code_challenge_method: String,
        code_challenge: String,
    }
}

/// Sends a link.
pub async fn send(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.limit(&app, Bucket::MagicLink)?;
    visitor.check_captcha(&app, &body).await?;
    magiclink::check_enabled(&app)?;
    let said: MagicLinkParams = body.first_json()?;
    let params = Params {
        email: said.email,
        create_user: true,
        data: said.data,
        code_challenge: said.code_challenge,
        code_challenge_method: said.code_challenge_method,
        ..Params::default()
    };
    magiclink::send_link(&app, &visitor.client, params).await?;
    Ok(done())
}
