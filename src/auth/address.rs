//! interim
use crate::app::App;
use crate::error::*;
pub fn parse_email(e: &str) -> Result<String> {
    if e.is_empty() {
        return Err(super::invalid("An email address is required"));
    }
    if !e.contains('@') {
        return Err(super::invalid(
            "Unable to validate email address: invalid format",
        ));
    }
    Ok(e.to_lowercase())
}
pub fn normalise_phone(p: &str) -> String {
    p.trim_start_matches('+').replace(' ', "")
}
pub fn parse_phone(p: &str) -> Result<String> {
    let p = normalise_phone(p);
    if p.len() < 2 || !p.bytes().all(|b| b.is_ascii_digit()) {
        return Err(super::invalid(
            "Invalid phone number format (E.164 required)",
        ));
    }
    Ok(p)
}
pub fn check_channel(_: &App, c: &str) -> Result<()> {
    if matches!(c, "" | "sms") {
        Ok(())
    } else {
        Err(super::invalid(
            "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.",
        ))
    }
}
pub fn is_authorized(e: &str, list: &[String]) -> bool {
    list.is_empty() || list.iter().any(|a| a == e)
}
pub async fn check_deliverable(_: &App, _: &str) -> Result<()> {
    Ok(())
}
pub fn no_sms(what: &str) -> Error {
    unprocessable(
        Code::SmsSendFailed,
        format!("Error sending {what} OTP to provider: this version sends no text messages"),
    )
}
