//! Have I Been Pwned: is this password known to be stolen? Only the first five hex digits of its SHA-1 leave the house.

use std::time::Duration;

use anyhow::ensure;
use aws_lc_rs::digest;

use crate::config::Password;
use crate::crypto::hex;
use crate::error::{Result, failed};
use crate::outside::{self, Http};

/// Asks the range API. When it cannot be asked: a failure if the configuration wants that, else "not known".
pub async fn is_known(http: &Http, config: &Password, password: &str) -> Result<bool> {
    match ask(http, config, password).await {
        Ok(known) => Ok(known),
        Err(cause) if config.hibp_fail_closed => Err(failed(
            "Unable to perform password strength check with HaveIBeenPwned.org.",
            cause,
        )),
        Err(cause) => {
            tracing::warn!(
                cause = format!("{cause:#}"),
                "HaveIBeenPwned.org cannot be asked; password accepted"
            );
            Ok(false)
        }
    }
}

async fn ask(http: &Http, config: &Password, password: &str) -> anyhow::Result<bool> {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let hex = hex(hash).to_ascii_uppercase();
    let (prefix, suffix) = hex.split_at(5);
    let request = http
        .client()?
        .get(format!("https://api.pwnedpasswords.com/range/{prefix}"))
        .header("User-Agent", &config.hibp_user_agent)
        .header("Add-Padding", "true")
        .timeout(Duration::from_secs(5))
        .build()?;
    let response = http.send(request).await?;
    let status = response.status();
    ensure!(status.is_success(), "the answer is {status}");
    let range = outside::read(response).await?;
    // Padding lines count zero.
    Ok(String::from_utf8_lossy(&range)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(tail, count)| tail == suffix && count.trim() != "0"))
}
