//! `POST /signup`.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::caller::Visitor;
use super::views::{UserView, signed_in};
use crate::app::App;
use crate::auth::signup::{self, Params, Password, SignedUp};
use crate::error::{Code, Result, unprocessable};
use crate::params;
use crate::web::body::Body;
use crate::web::json::Json;
use crate::web::limits::Bucket;

params! {
    /// Who signs up.
    struct SignupParams {
        email: String,
        phone: String,
        password: SecretString,
        data: Map<String, Value>,
        channel: String,
        code_challenge: String,
        code_challenge_method: String,
    }
}

/// Signs up; without any address, as nobody yet.
pub async fn sign_up(State(app): State<App>, visitor: Visitor, body: Body) -> Result<Response> {
    visitor.check_captcha(&app, &body).await?;
    let said: SignupParams = body.json()?;
    let params = Params {
        email: said.email,
        phone: said.phone,
        password: Password::Chosen(said.password.expose_secret().to_owned()),
        data: said.data,
        channel: said.channel,
        code_challenge: said.code_challenge,
        code_challenge_method: said.code_challenge_method,
    };
    if params.email.is_empty() && params.phone.is_empty() {
        if !app.config.external.anonymous_users_enabled {
            return Err(unprocessable(
                Code::AnonymousProviderDisabled,
                "Anonymous sign-ins are disabled",
            ));
        }
        visitor.limit(&app, Bucket::AnonymousSignIns)?;
        let grant = signup::sign_up_anonymously(&app, &visitor.client, params.data).await?;
        return signed_in(&app, &grant).await;
    }
    visitor.limit(&app, Bucket::Signups)?;
    match signup::sign_up(&app, &visitor.client, params).await? {
        SignedUp::In(grant) => signed_in(&app, &grant).await,
        SignedUp::Pending(user) => Ok(Json(UserView::from(&*user)).into_response()),
    }
}
