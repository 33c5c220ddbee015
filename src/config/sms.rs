//! Text messages: what sign-in by phone needs before one is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::mailer::otp_length;
use super::settings::settings;
use super::value::{Seconds, Value};
use crate::clock::Timestamp;

settings! {
    /// Text messages.
    pub struct Sms("GOTRUE_SMS_") {
        /// Numbers count as confirmed without a message.
        autoconfirm: bool = "false",
        /// Who sends: twilio, `twilio_verify`, messagebird, textlocal or vonage; http: whom `TRUEGATE_SMS_HTTP_URL` names.
        provider: String = "",
        /// Text of a message: a Go template.
        template: String = "Your code is {{ .Code }}",
        /// How long a code is valid, in seconds.
        otp_exp: Seconds = "60",
        /// Digits of a code: 6 to 10.
        otp_length: u32 = "6",
        /// How long until the same user may ask for the next message; 0 means 1m, so 1ns is for never.
        max_frequency: Duration = "1m",
        /// Numbers that get no message but have a fixed code: number:code,number:code.
        test_otp: TestOtps = "",
        /// Until when `TEST_OTP` counts; empty: for ever.
        test_otp_valid_until: Option<Timestamp> = "",
        /// Twilio: the account.
        twilio_account_sid: String = "",
        /// Twilio: its token.
        twilio_auth_token: Option<SecretString> = "",
        /// Twilio: the messaging service, or the number that messages come from.
        twilio_message_service_sid: String = "",
        /// Twilio: the template of `WhatsApp` messages.
        twilio_content_sid: String = "",
        /// Twilio Verify, which makes and checks codes itself: the account.
        twilio_verify_account_sid: String = "",
        /// Twilio Verify: its token.
        twilio_verify_auth_token: Option<SecretString> = "",
        /// Twilio Verify: the service.
        twilio_verify_message_service_sid: String = "",
        /// Messagebird: the key.
        messagebird_access_key: Option<SecretString> = "",
        /// Messagebird: who messages come from.
        messagebird_originator: String = "",
        /// Textlocal: the key.
        textlocal_api_key: Option<SecretString> = "",
        /// Textlocal: who messages come from.
        textlocal_sender: String = "",
        /// Vonage: the key.
        vonage_api_key: Option<SecretString> = "",
        /// Vonage: its secret.
        vonage_api_secret: Option<SecretString> = "",
        /// Vonage: who messages come from.
        vonage_from: String = "",
    } and {
        /// Where the providers' APIs are, for tests: a stand-in.
        api_base: Option<String>,
    }
}

impl Sms {
    pub(super) fn settle(&mut self) {
        if self.template.is_empty() {
            "Your code is {{ .Code }}".clone_into(&mut self.template);
        }
        if self.otp_exp.is_zero() {
            self.otp_exp = Seconds::new(60);
        }
        self.otp_length = otp_length(self.otp_length);
        if self.max_frequency.is_zero() {
            self.max_frequency = Duration::from_mins(1);
        }
    }

    /// The fixed code of a number (without `+` and blanks), if it has one.
    #[must_use]
    pub fn test_otp(&self, phone: &str, now: Timestamp) -> Option<&str> {
        if self.test_otp_valid_until.is_some_and(|end| now >= end) {
            return None;
        }
        let code = self.test_otp.0.get(phone).map(ExposeSecret::expose_secret);
        code.filter(|code| !code.is_empty())
    }
}

/// Fixed codes by number.
#[derive(Debug, Clone, Default)]
pub struct TestOtps(pub BTreeMap<String, SecretString>);

impl Value for TestOtps {
    const FORM: &'static str = "a list number:code,number:code";
    const MAY_BE_EMPTY: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let pairs = text.split(',').map(|pair| {
            let (phone, code) = pair
                .split_once(':')
                .filter(|(_, code)| !code.contains(':'))?;
            Some((
                phone.strip_prefix('+').unwrap_or(phone).replace(' ', ""),
                code.into(),
            ))
        });
        pairs.collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_plus_and_blanks() {
        let TestOtps(codes) = TestOtps::parse("+1 555 0001:123456,15550002: 9").unwrap();
        let codes: Vec<_> = codes
            .iter()
            .map(|(phone, code)| (phone.as_str(), code.expose_secret()))
            .collect();
        assert_eq!(codes, [("15550001", "123456"), ("15550002", " 9")]);
        assert!(TestOtps::parse(" ").unwrap().0.is_empty());
        for text in ["1", "1:2:3", "1:2,", ","] {
            assert!(TestOtps::parse(text).is_none(), "{text:?}");
        }
    }
}
