//! hCaptcha and Cloudflare Turnstile: is this token the proof of a solved captcha?

use std::net::IpAddr;

use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::config::Security;
use crate::error::{Result, failed};
use crate::outside::Http;

/// What the captcha service says.
#[derive(Debug)]
pub enum Answer {
    /// A person, presumably.
    Solved,
    /// Its reasons why not.
    Failed(Vec<String>),
}

#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// Asks the configured service. A service that cannot be reached is a failure, as in GoTrue.
pub async fn verify(
    http: &Http,
    config: &Security,
    token: &str,
    ip: Option<IpAddr>,
) -> Result<Answer> {
    let url = match config.captcha_provider.as_str() {
        "turnstile" => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        _ => "https://hcaptcha.com/siteverify",
    };
    let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
    let form = [
        (
            "secret",
            config
                .captcha_secret
                .as_ref()
                .map_or("", ExposeSecret::expose_secret),
        ),
        ("response", token.trim()),
        ("remoteip", &ip),
    ];
    let http = http.client()?;
    let verdict = async {
        let request = http
            .post(url)
            .form(&form)
            .timeout(config.captcha_timeout)
            .build()?;
        reqwest::Client::execute(http, request)
            .await?
            .json::<Verdict>()
            .await
    };
    // The error is told without its URL and form: they hold nothing secret, but the token is the caller's.
    let verdict = verdict
        .await
        .map_err(|cause| failed("captcha verification process failed", cause.without_url()))?;
    Ok(if verdict.success {
        Answer::Solved
    } else {
        Answer::Failed(verdict.error_codes)
    })
}
