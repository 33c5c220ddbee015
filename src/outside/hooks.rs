//! Hooks over HTTP: the operator's own programs, asked with a signed request (GoTrue's `hookshttp`, `hookserrors`).
//! What is asked and what an answer means is up to the act; what every answer has in common is read here.
//!
//! Their addresses are the operator's settings and are trusted; unlike GoTrue's client, ours follows no redirects.

mod answer;
mod media_type;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::{self, HookSecrets};
use crate::crypto::webhook::{Secret, signatures};
use crate::error::{Code, Error, Result, failed, unprocessable};
use crate::json::{Time, to_vec};
use crate::outside::Http;
use answer::Answer;

/// A hook that is on.
pub struct Hook {
    name: &'static str,
    uri: String,
    /// None: it is no HTTP address, and cannot be asked.
    url: Option<Url>,
    secrets: Vec<Secret>,
    patience: Patience,
}

/// All hooks that are on.
pub struct Hooks {
    /// Sends text messages.
    pub send_sms: Option<Hook>,
}

/// How long and how often is asked.
struct Patience {
    deadline: Duration,
    attempts: usize,
    backoff: Duration,
}

/// GoTrue's.
const PATIENCE: Patience = Patience {
    deadline: Duration::from_secs(5),
    attempts: 3,
    backoff: Duration::from_secs(2),
};

impl Hooks {
    /// Reads the settings; the error is for the operator's terminal.
    pub fn new(config: &config::Hooks) -> anyhow::Result<Self> {
        Ok(Self {
            send_sms: Hook::new("send-sms", &config.send_sms)
                .context("GOTRUE_HOOK_SEND_SMS_SECRETS")?,
        })
    }
}

/// What every hook is told besides.
#[derive(Serialize)]
struct Metadata {
    uuid: Uuid,
    time: Time,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<IpAddr>,
}

#[derive(Serialize)]
struct Input<'a, T> {
    metadata: Metadata,
    #[serde(flatten)]
    said: &'a T,
}

impl Hook {
    fn new(name: &'static str, config: &config::Hook) -> anyhow::Result<Option<Self>> {
        let Some(uri) = config.uri.clone().filter(|_| config.enabled) else {
            return Ok(None);
        };
        let HookSecrets(secrets) = &config.secrets;
        let secrets = secrets.iter().map(|secret| {
            Secret::parse(secret.expose_secret()).context("a secret is not v1,whsec_<base64>")
        });
        Ok(Some(Self {
            name,
            url: Url::parse(&uri)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https")),
            uri,
            secrets: secrets.collect::<anyhow::Result<_>>()?,
            patience: PATIENCE,
        }))
    }

    /// Asks the hook on behalf of a client at `ip`; gives the members of its answer, none where it has nothing to say.
    /// May take seconds: no connection to the database is held meanwhile.
    pub async fn ask(
        &self,
        http: &Http,
        said: &impl Serialize,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Map<String, Value>> {
        let metadata = Metadata {
            uuid: Uuid::new_v4(),
            time: Time(now),
            name: self.name,
            ip_address: ip,
        };
        let body = to_vec(&Input { metadata, said })?;
        let started = Instant::now();
        let answered = self.answer(http, &body, now, started).await;
        let milliseconds = started.elapsed().as_millis();
        match &answered {
            Ok(_) => tracing::info!(hook = self.name, milliseconds, "hook asked"),
            Err(error) => tracing::warn!(hook = self.name, milliseconds, ?error, "hook failed"),
        }
        answered
    }

    async fn answer(
        &self,
        http: &Http,
        body: &[u8],
        now: Timestamp,
        started: Instant,
    ) -> Result<Map<String, Value>> {
        let Some(url) = &self.url else {
            let why = "hooks in Postgres functions are not called in this version";
            return Err(self.broken(anyhow!(why)));
        };
        let patience = &self.patience;
        let deadline = started + patience.deadline;
        for attempt in 1..=patience.attempts {
            let at = now + TimeDelta::from_std(started.elapsed()).unwrap_or_default();
            let Ok(sent) = timeout_at(deadline, self.send(http, url, body, at)).await else {
                return Err(self.too_slow());
            };
            match sent {
                Ok(response) => match answer::read(response, deadline).await {
                    Ok(Answer::Said(members)) => return Ok(members),
                    Ok(Answer::Later) => {}
                    Err(answer::Unread::Refused(error)) => return Err(error),
                    Err(answer::Unread::Broken(cause)) => return Err(self.broken(cause)),
                },
                Err(_) if attempt == patience.attempts => {
                    return Err(unprocessable(
                        Code::HookTimeoutAfterRetry,
                        "Failed to reach hook after maximum retries",
                    ));
                }
                Err(cause) => {
                    tracing::warn!(hook = self.name, attempt, "hook not reached: {cause:#}");
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "who cannot be reached is given a moment"
                    )]
                    let pause = sleep(patience.backoff);
                    if timeout_at(deadline, pause).await.is_err() {
                        return Err(self.too_slow());
                    }
                }
            }
        }
        Err(answer::unavailable())
    }

    async fn send(
        &self,
        http: &Http,
        url: &Url,
        body: &[u8],
        at: Timestamp,
    ) -> anyhow::Result<Response> {
        let id = Uuid::new_v4().to_string();
        let timestamp = at.timestamp();
        let request = http
            .client()?
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                signatures(&self.secrets, &id, timestamp, body),
            )
            .header(ACCEPT_ENCODING, "identity")
            // It has the hook's whole deadline, however long other servers may take.
            .timeout(self.patience.deadline)
            .body(body.to_vec())
            .build()?;
        http.send(request).await
    }

    fn too_slow(&self) -> Error {
        unprocessable(
            Code::HookTimeout,
            format!(
                "Failed to reach hook within maximum time of {:.6} seconds",
                self.patience.deadline.as_secs_f64()
            ),
        )
    }

    fn broken(&self, cause: anyhow::Error) -> Error {
        failed(format!("Error running hook URI: {}", self.uri), cause)
    }
}

#[cfg(test)]
mod tests;
