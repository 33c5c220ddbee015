//! Which e-mail addresses and phone numbers are taken, in GoTrue's words (its `api/mail.go`, `api/phone.go`,
//! `mailer/validateclient`).

use super::invalid;
use crate::app::App;
use crate::error::{Code, Error, Result, bad_request};
use crate::outside::email_validation;

/// The longest address, in bytes.
const MAX_EMAIL: usize = 255;

/// Checks an e-mail address, and gives it as it is stored: in lower case.
pub fn parse_email(address: &str) -> Result<String> {
    if address.is_empty() {
        return Err(invalid("An email address is required"));
    }
    if address.len() > MAX_EMAIL {
        return Err(invalid("An email address is too long"));
    }
    if !is_email(address) {
        return Err(invalid("Unable to validate email address: invalid format"));
    }
    Ok(address.to_ascii_lowercase())
}

/// HTML's rule for addresses: ASCII only, no quotes, no comments, no dot needed in the domain.
fn is_email(address: &str) -> bool {
    let is_atom =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    address.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && local.bytes().all(is_atom) && domain.split('.').all(is_label)
    })
}

/// Whether mail may go to this address (`EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES`; empty: to all).
/// What follows a `+` in its local part does not count.
#[must_use]
pub fn is_authorized(address: &str, authorized: &[String]) -> bool {
    let plain = without_label(address);
    authorized.is_empty()
        || authorized
            .iter()
            .any(|authorized| authorized.eq_ignore_ascii_case(&plain))
}

fn without_label(address: &str) -> String {
    match address
        .split_once('@')
        .and_then(|(local, domain)| Some((local.split_once('+')?, domain)))
    {
        Some(((name, label), domain)) if !label.is_empty() => format!("{name}@{domain}"),
        _ => address.to_owned(),
    }
}

/// Refuses an address to which mail would not get, as far as that can be known and the operator wants to
/// (`MAILER_EMAIL_VALIDATION_EXTENDED`, `MAILER_EMAIL_VALIDATION_SERVICE_URL`).
pub async fn check_deliverable(app: &App, address: &str) -> Result<()> {
    let mailer = &app.config.mailer;
    let host = if mailer.email_validation_extended {
        plausible(address)?
    } else {
        None
    };
    if email_validation::refuses(&app.http, mailer, address, host).await {
        return Err(undeliverable(address));
    }
    Ok(())
}

/// The refusal of an address to which mail would not get.
#[must_use]
pub fn undeliverable(address: &str) -> Error {
    bad_request(
        Code::EmailAddressInvalid,
        format!("Email address {address:?} is invalid"),
    )
}

/// Extended validation as far as it needs no network: typed-in nonsense, reserved names, impossible Gmail names.
/// Gives the host whose existence is worth asking for; none for large providers.
fn plausible(address: &str) -> Result<Option<&str>> {
    let Some((local, host)) = address.rsplit_once('@') else {
        return Err(undeliverable(address));
    };
    let is_reserved = RESERVED_SUFFIXES
        .iter()
        .any(|suffix| host.ends_with(suffix));
    if !is_dot_atom(local)
        || !is_dot_atom(host)
        || !host.contains('.')
        || PLACEHOLDERS.contains(&address)
        || PLACEHOLDER_HOSTS.contains(&host)
        || is_reserved
        || host == "gmail.com" && local.len() < MIN_GMAIL_NAME
    {
        return Err(undeliverable(address));
    }
    Ok((!LARGE_PROVIDERS.contains(&host)).then_some(host))
}

/// RFC 5322 §3.2.3, with RFC 6531's characters: what Go's `mail.ParseAddress` leaves as it is.
fn is_dot_atom(text: &str) -> bool {
    let is_atext = |character: char| {
        character.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(character)
            || !character.is_ascii()
    };
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Gmail gives no shorter names.
const MIN_GMAIL_NAME: usize = 6;

/// RFC 2606 §2, and names of local networks.
const RESERVED_SUFFIXES: [&str; 5] = [".test", ".example", ".invalid", ".local", ".localhost"];

const PLACEHOLDERS: [&str; 4] = [
    "test@gmail.com",
    "example@gmail.com",
    "someone@gmail.com",
    "test@email.com",
];

const PLACEHOLDER_HOSTS: [&str; 8] = [
    "test.com",
    "example.com",
    "example.net",
    "example.org",
    "gamil.com",
    "gamai.com",
    "anonymous.com",
    "email.com",
];

const LARGE_PROVIDERS: [&str; 20] = [
    "gmail.com",
    "yahoo.com",
    "hotmail.com",
    "aol.com",
    "outlook.com",
    "comcast.net",
    "icloud.com",
    "msn.com",
    "hotmail.co.uk",
    "sbcglobal.net",
    "live.com",
    "yahoo.co.in",
    "me.com",
    "att.net",
    "mail.ru",
    "bellsouth.net",
    "rediffmail.com",
    "cox.net",
    "yahoo.co.uk",
    "verizon.net",
];

/// Checks a phone number, and gives it as it is stored: without `+` and blanks.
pub fn parse_phone(number: &str) -> Result<String> {
    let number = normalise_phone(number);
    let is_e164 = (2..=15).contains(&number.len())
        && !number.starts_with('0')
        && number.bytes().all(|digit| digit.is_ascii_digit());
    if !is_e164 {
        return Err(invalid("Invalid phone number format (E.164 required)"));
    }
    Ok(number)
}

/// A phone number without `+` and blanks, unchecked: what signing in by password compares.
#[must_use]
pub fn normalise_phone(number: &str) -> String {
    number.strip_prefix('+').unwrap_or(number).replace(' ', "")
}

/// The channel of a text message; none said is `sms`. A hook takes any.
pub fn parse_channel(app: &App, channel: &str) -> Result<String> {
    let channel = if channel.is_empty() { "sms" } else { channel };
    if app.hooks.send_sms.is_some() || is_channel(channel, &app.config.sms.provider) {
        return Ok(channel.to_owned());
    }
    Err(invalid(
        "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio \
         Verify is used as the provider.",
    ))
}

fn is_channel(channel: &str, provider: &str) -> bool {
    match channel {
        "sms" => true,
        "whatsapp" => matches!(provider, "twilio" | "twilio_verify"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
