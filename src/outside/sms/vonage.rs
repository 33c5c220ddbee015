//! Vonage, formerly Nexmo.

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Failure, Message, base, form, json, plain, post_form, refused, required, required_secret,
};
use crate::config;
use crate::outside::Http;

pub(super) struct Vonage {
    url: String,
    key: SecretString,
    secret: SecretString,
    from: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    messages: Vec<Sent>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Sent {
    message_id: String,
    status: String,
    error_text: String,
}

impl Vonage {
    pub(super) fn new(sms: &config::Sms) -> Result<Self, String> {
        Ok(Self {
            key: required_secret(sms.vonage_api_key.as_ref(), "Vonage API key")?,
            secret: required_secret(sms.vonage_api_secret.as_ref(), "Vonage API secret")?,
            from: required(&sms.vonage_from, "Vonage 'from' parameter")?,
            url: format!("{}/sms/json", base(sms, "https://rest.nexmo.com")),
        })
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let mut pairs = vec![
            ("from", self.from.as_str()),
            ("to", message.phone),
            ("text", message.text),
            ("api_key", plain(&self.key)),
            ("api_secret", plain(&self.secret)),
        ];
        if !message.text.is_ascii() {
            pairs.push(("type", "unicode"));
        }
        let (_, body) = post_form(http, &self.url, form(pairs), |request| request).await?;
        let Answer { messages } = json(&body)?;
        let Some(sent) = messages.into_iter().next() else {
            return Err(refused("vonage error: Internal Error"));
        };
        if sent.status != "0" {
            let Sent {
                message_id,
                status,
                error_text,
            } = sent;
            return Err(refused(format!(
                "vonage error: {error_text} (status: {status}) for message {message_id}"
            )));
        }
        Ok(())
    }
}
