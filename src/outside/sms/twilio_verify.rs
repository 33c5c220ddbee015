//! Twilio Verify, which makes the codes and checks them itself.

use secrecy::SecretString;
use serde_json::Value;

use super::twilio::accepted;
use super::{
    Failure, Message, base, form, plain, post_form, refused, required, required_secret, shown,
};
use crate::config;
use crate::outside::Http;

pub(super) struct TwilioVerify {
    /// Of the service.
    url: String,
    account: String,
    token: SecretString,
}

impl TwilioVerify {
    pub(super) fn new(sms: &config::Sms) -> Result<Self, String> {
        let account = required(&sms.twilio_verify_account_sid, "Twilio account SID")?;
        let token = required_secret(sms.twilio_verify_auth_token.as_ref(), "Twilio auth token")?;
        let service = required(
            &sms.twilio_verify_message_service_sid,
            "Twilio message service SID or Twilio phone number",
        )?;
        let base = base(sms, "https://verify.twilio.com");
        Ok(Self {
            url: format!("{base}/v2/Services/{service}"),
            account,
            token,
        })
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let to = format!("+{}", message.phone);
        let form = form([("To", to.as_str()), ("Channel", message.channel)]);
        self.post(http, "Verifications", form).await.map(drop)
    }

    pub(super) async fn check(&self, http: &Http, phone: &str, code: &str) -> Result<(), Failure> {
        let to = format!("+{phone}");
        let form = form([("To", to.as_str()), ("Code", code)]);
        let answer = self.post(http, "VerificationCheck", form).await?;
        let status = answer.get("status").and_then(Value::as_str);
        if status == Some("approved") && answer.get("valid") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        let [message, status] = ["error_message", "status"].map(|name| shown(answer.get(name)));
        Err(refused(format!(
            "twilio verification error: {message} {status}"
        )))
    }

    async fn post(&self, http: &Http, what: &str, form: String) -> Result<Value, Failure> {
        let url = format!("{}/{what}", self.url);
        let (status, body) = post_form(http, &url, form, |request| {
            request.basic_auth(&self.account, Some(plain(&self.token)))
        })
        .await?;
        accepted(status, &body)
    }
}
