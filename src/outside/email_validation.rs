//! What the world says of an e-mail address (GoTrue's `mailer/validateclient`): whether its domain exists, and what
//! the operator's own service thinks. Nobody is refused because the world is silent or slow.
//!
//! Not here: the names of mail servers. `MAILER_EMAIL_VALIDATION_BLOCKED_MX` needs a resolver for MX records.

use std::io;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use crate::config::Mailer;
use crate::outside::Http;

/// How long all questions together may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// As much of the service's answer is read, in bytes.
const MAX_ANSWER: usize = 1024;

/// Whether mail to this address is pointless; `host` is its domain, where that is in doubt.
pub async fn refuses(http: &Http, mailer: &Mailer, address: &str, host: Option<&str>) -> bool {
    let (unknown, unwanted) = tokio::join!(
        timeout(PATIENCE, is_unknown(host)),
        timeout(PATIENCE, is_unwanted(http, mailer, address)),
    );
    unknown.unwrap_or(false) || unwanted.unwrap_or(Ok(false)).unwrap_or(false)
}

/// Whether the domain does not exist: nobody knows it under any type of record, so it has no mail server either.
async fn is_unknown(host: Option<&str>) -> bool {
    const SMTP: u16 = 25;
    let Some(host) = host else { return false };
    // The dot at the end keeps the machine's search list out.
    let host = format!("{}.", host.trim_end_matches('.'));
    match tokio::net::lookup_host((host, SMTP)).await {
        Ok(_) => false,
        Err(error) => is_no_such_name(&error),
    }
}

/// glibc's `EAI_NONAME`, which Rust gives as text. It differs from "no address" (a domain with mail servers only)
/// and "temporary failure".
fn is_no_such_name(error: &io::Error) -> bool {
    error.to_string().ends_with("Name or service not known")
}

#[derive(Deserialize)]
struct Verdict {
    valid: Option<bool>,
}

/// Whether the operator's service says `{"valid": false}`.
async fn is_unwanted(http: &Http, mailer: &Mailer, address: &str) -> anyhow::Result<bool> {
    let Some(url) = &mailer.email_validation_service_url else {
        return Ok(false);
    };
    let mut request = http
        .client()?
        .post(url.clone())
        .json(&serde_json::json!({ "email": address }));
    for (name, values) in mailer.email_validation_service_headers.iter() {
        // As in GoTrue the last value of a header is the one that is sent.
        if let Some(value) = values.last() {
            request = request.header(name, value);
        }
    }
    let mut response = http.send(request.build()?).await?.error_for_status()?;
    let mut answer = Vec::new();
    while answer.len() < MAX_ANSWER
        && let Some(chunk) = response.chunk().await?
    {
        answer.extend_from_slice(&chunk);
    }
    let verdict = serde_json::from_slice::<Verdict>(&answer);
    Ok(verdict.is_ok_and(|verdict| verdict.valid == Some(false)))
}
