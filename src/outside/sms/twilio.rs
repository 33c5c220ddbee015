//! Twilio's Programmable Messaging: text messages and `WhatsApp`.

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    Failure, Message, base, form, json, plain, post_form, refused, required, required_secret, shown,
};
use crate::config;
use crate::outside::Http;

pub(super) struct Twilio {
    url: String,
    account: String,
    token: SecretString,
    sender: String,
    content: String,
}

impl Twilio {
    pub(super) fn new(sms: &config::Sms) -> Result<Self, String> {
        let account = required(&sms.twilio_account_sid, "Twilio account SID")?;
        let token = required_secret(sms.twilio_auth_token.as_ref(), "Twilio auth token")?;
        let sender = required(
            &sms.twilio_message_service_sid,
            "Twilio message service SID or Twilio phone number",
        )?;
        let base = base(sms, "https://api.twilio.com");
        Ok(Self {
            url: format!("{base}/2010-04-01/Accounts/{account}/Messages.json"),
            account,
            token,
            sender,
            content: sms.twilio_content_sid.clone(),
        })
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let (status, body) = post_form(http, &self.url, self.form(message), |request| {
            request.basic_auth(&self.account, Some(plain(&self.token)))
        })
        .await?;
        let answer = accepted(status, &body)?;
        match answer.get("status").and_then(Value::as_str) {
            Some("failed" | "undelivered") => {
                let [message, code, sid] =
                    ["error_message", "error_code", "sid"].map(|name| shown(answer.get(name)));
                Err(refused(format!(
                    "twilio error: {message} {code} for message {sid}"
                )))
            }
            _ => Ok(()),
        }
    }

    fn form(&self, message: Message<'_>) -> String {
        let Message {
            phone,
            text,
            channel,
            code,
        } = message;
        if channel != "whatsapp" {
            let to = format!("+{phone}");
            return form([
                ("To", to.as_str()),
                ("Channel", channel),
                ("From", &self.sender),
                ("Body", text),
            ]);
        }
        let to = format!("whatsapp:+{phone}");
        let from = if is_number(&self.sender) {
            format!("whatsapp:{}", self.sender)
        } else {
            self.sender.clone()
        };
        let variables = format!(r#"{{"1": "{code}"}}"#);
        let mut pairs = vec![("To", to.as_str()), ("Channel", channel), ("From", &from)];
        if self.content.is_empty() {
            pairs.push(("Body", text));
        } else {
            pairs.extend([
                ("ContentSid", self.content.as_str()),
                ("ContentVariables", &variables),
            ]);
        }
        form(pairs)
    }
}

/// The answer of 200 and 201; others say what is wrong. Both of Twilio's APIs answer like this.
pub(super) fn accepted(status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
    let answer: Value = json(body)?;
    if matches!(status, StatusCode::OK | StatusCode::CREATED) {
        return Ok(answer);
    }
    let [message, more] = ["message", "more_info"].map(|name| shown(answer.get(name)));
    Err(refused(format!("{message} More information: {more}")))
}

/// A telephone number, rather than the name of a service.
fn is_number(sender: &str) -> bool {
    let digits = sender.strip_prefix('+').unwrap_or(sender).replace(' ', "");
    (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}
