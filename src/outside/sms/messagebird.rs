//! Messagebird.

use reqwest::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Failure, Message, base, form, json, plain, post_form, refused, required, required_secret,
};
use crate::config;
use crate::outside::Http;

pub(super) struct Messagebird {
    url: String,
    key: SecretString,
    originator: String,
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    recipients: Recipients,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Recipients {
    total_sent_count: u64,
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    description: String,
}

impl Messagebird {
    pub(super) fn new(sms: &config::Sms) -> Result<Self, String> {
        Ok(Self {
            key: required_secret(
                sms.messagebird_access_key.as_ref(),
                "Messagebird access key",
            )?,
            originator: required(&sms.messagebird_originator, "Messagebird originator")?,
            url: format!("{}/messages", base(sms, "https://rest.messagebird.com")),
        })
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let form = form([
            ("originator", self.originator.as_str()),
            ("body", message.text),
            ("recipients", message.phone),
            ("type", "sms"),
            ("datacoding", "unicode"),
        ]);
        let (status, body) = post_form(http, &self.url, form, |request| {
            request.header("authorization", format!("AccessKey {}", plain(&self.key)))
        })
        .await?;
        if matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            let Refused { errors } = json(&body)?;
            let first = errors.into_iter().next();
            return Err(refused(
                first.map_or_else(String::new, |fault| fault.description),
            ));
        }
        let Sent { recipients } = json(&body)?;
        if recipients.total_sent_count == 0 {
            return Err(refused("messagebird error: total sent count is 0"));
        }
        Ok(())
    }
}
