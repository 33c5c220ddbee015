//! Textlocal.

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Failure, Message, base, form, json, plain, post_form, refused, required, required_secret,
};
use crate::config;
use crate::outside::Http;

/// The message is none of the templates that India's operators have approved.
const UNKNOWN_TEMPLATE: i64 = 80;

pub(super) struct Textlocal {
    url: String,
    key: SecretString,
    sender: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    status: String,
    errors: Vec<Fault>,
    messages: Vec<Sent>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fault {
    code: i64,
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    id: String,
}

impl Textlocal {
    pub(super) fn new(sms: &config::Sms) -> Result<Self, String> {
        Ok(Self {
            key: required_secret(sms.textlocal_api_key.as_ref(), "Textlocal API key")?,
            sender: required(&sms.textlocal_sender, "Textlocal sender")?,
            url: format!("{}/send", base(sms, "https://api.textlocal.in")),
        })
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let form = form([
            ("sender", self.sender.as_str()),
            ("apikey", plain(&self.key)),
            ("message", message.text),
            ("numbers", message.phone),
        ]);
        let (_, body) = post_form(http, &self.url, form, |request| request).await?;
        let answer: Answer = json(&body)?;
        if answer.status == "success" {
            return Ok(());
        }
        let sent = answer.messages.into_iter().next().unwrap_or_default();
        let fault = answer.errors.into_iter().next().unwrap_or_default();
        let Fault { code, message: why } = fault;
        Err(refused(if code == UNKNOWN_TEMPLATE {
            format!(
                "textlocal error: {why} (code: {code}) template message: {}",
                message.text
            )
        } else {
            format!("textlocal error: {why} (code: {code}) message {}", sent.id)
        }))
    }
}
