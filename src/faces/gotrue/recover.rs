//! `POST /recover`.

use axum::extract::State;
use axum::response::Response;

use super::caller::Visitor;
use super::views::done;
use crate::app::App;
use crate::auth;
use crate::error::{Code, Result, bad_request};
use crate::params;
use crate::web::body::Body;
use crate::web::limits::Bucket;

params! {
    /// Who has forgotten a password.
    struct RecoverParams {
        email: String,
        code_challenge: String,
        code_challenge_method: String,
    }
}

/// Sends a recovery mail.
pub async fn recover(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.limit(&app, Bucket::Recover)?;
    visitor.check_captcha(&app, &body).await?;
    if !app.config.external.email_enabled {
        return Err(bad_request(
            Code::EmailProviderDisabled,
            "Email logins are disabled",
        ));
    }
    let said: RecoverParams = body.json()?;
    let challenge = (
        said.code_challenge.as_str(),
        said.code_challenge_method.as_str(),
    );
    auth::recover::recover(&app, &visitor.client, &said.email, challenge).await?;
    Ok(done())
}
