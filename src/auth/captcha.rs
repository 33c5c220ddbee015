//! Keeping machines out: whether a captcha must be solved, and whether it was.

use super::Client;
use crate::app::App;
use crate::error::{Code, Result, bad_request};
use crate::outside::captcha::{self, Answer};

/// Refuses a request without a solved captcha. Administrators need not solve any:
/// `bearer` is the token that came along, if one did.
pub async fn check(app: &App, client: &Client, bearer: Option<&str>, token: &str) -> Result<()> {
    let security = &app.config.security;
    if let Some(bearer) = bearer
        && super::bearer::administer(app, bearer).await.is_ok()
    {
        return Ok(());
    }
    let refused = |reason: &str| {
        bad_request(
            Code::CaptchaFailed,
            format!("captcha protection: request disallowed ({reason})"),
        )
    };
    if token.trim().is_empty() {
        return Err(refused("no captcha_token found"));
    }
    match captcha::verify(&app.http, security, token, client.ip).await? {
        Answer::Solved => Ok(()),
        Answer::Failed(reasons) => Err(refused(&reasons.join(", "))),
    }
}
