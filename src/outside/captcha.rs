//! hCaptcha and Cloudflare Turnstile: is this token the proof of a solved captcha?

use std::net::IpAddr;

use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::config::Security;
use crate::error::{Result, failed};
use crate::outside::{self, Http};

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
    let verdict = async {
        let request = http.client()?.post(url).form(&form);
        let request = request.timeout(config.captcha_timeout).build()?;
        let answer = outside::read(http.send(request).await?).await?;
        anyhow::Ok(serde_json::from_slice::<Verdict>(&answer)?)
    };
    let verdict = verdict
        .await
        .map_err(|cause| failed("captcha verification process failed", cause))?;
    Ok(if verdict.success {
        Answer::Solved
    } else {
        Answer::Failed(verdict.error_codes)
    })
}
