//! Sending one mail: its headers and parts, and the ways out: a relay, a test's memory, or nowhere.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::{Address, Message as Mime};

use crate::clock::Timestamp;
use crate::config::Config;

mod smtp;

use smtp::Relay;

/// No more of what a relay told than this is kept, in characters.
const MAX_REASON: usize = 500;

const SUBJECT: HeaderName = HeaderName::new_from_ascii_str("Subject");

/// How many bytes an encoded word may hold: 75 characters are its longest (RFC 2047 §2).
const ENCODED_WORD: usize = 45;

/// A mail to one recipient.
#[derive(Debug, Clone)]
pub struct Message {
    /// Names the mail in its Message-ID, the same at each attempt: who gets it twice may know it.
    pub id: uuid::Uuid,
    /// The kind's name as settings have it.
    pub kind: String,
    /// The recipient's address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The HTML body.
    pub html: String,
    /// The text body; none: the HTML is all there is.
    pub text: Option<String>,
}

/// Why a mail was not sent: for the operator.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, in the relay's words where it spoke.
    pub reason: String,
    /// Nothing will be different the next time.
    pub permanent: bool,
}

/// Takes the mails of tests.
pub trait Sink: Send + Sync {
    /// A mail as SMTP carries it: the recipients of the envelope, and the data.
    fn receive(&self, recipients: &[String], data: &[u8]);
}

/// Sends mails.
pub struct Sender {
    way: Way,
    from: Option<Mailbox>,
    headers: Vec<(HeaderName, String)>,
    /// Recipients that the operator's own Cc and Bcc headers add.
    copies: Vec<Address>,
    /// The right side of Message-IDs.
    host: String,
    logged: bool,
}

enum Way {
    /// Without a relay mails are sent nowhere, and nobody is told (GoTrue's noopclient).
    Off,
    Smtp(Box<Relay>),
    Memory(Arc<dyn Sink>),
}

impl Sender {
    /// Through the relay of the settings. Opens no connection; the error is for the operator's terminal.
    pub fn from_config(config: &Config) -> anyhow::Result<Self> {
        let way = match &config.smtp.host {
            None => Way::Off,
            Some(host) => Way::Smtp(Box::new(Relay::new(config, host)?)),
        };
        Self::new(config, way)
    }

    /// To memory, for tests; nowhere where the settings name no relay.
    pub fn in_memory(config: &Config, sink: Arc<dyn Sink>) -> anyhow::Result<Self> {
        let way = match &config.smtp.host {
            None => Way::Off,
            Some(_) => Way::Memory(sink),
        };
        Self::new(config, way)
    }

    fn new(config: &Config, way: Way) -> anyhow::Result<Self> {
        let smtp = &config.smtp;
        let from = match (&smtp.admin_email, &way) {
            (None, _) | (_, Way::Off) => None,
            (Some(email), _) => {
                let email =
                    address(email).context("GOTRUE_SMTP_ADMIN_EMAIL is not an e-mail address")?;
                Some(Mailbox::new(
                    smtp.sender_name.as_deref().map(one_line),
                    email,
                ))
            }
        };
        let mut sender = Self {
            way,
            from,
            headers: Vec::new(),
            copies: Vec::new(),
            host: config
                .api
                .external_url
                .host_str()
                .unwrap_or("localhost")
                .to_owned(),
            logged: smtp.logging_enabled,
        };
        for (name, values) in smtp.headers.iter() {
            let values: Vec<_> = values
                .iter()
                .filter(|value| !value.is_empty())
                .map(String::as_str)
                .collect();
            if !name.is_empty() && !values.is_empty() {
                sender.add_header(name, &values)?;
            }
        }
        Ok(sender)
    }

    /// As in GoTrue a header of the operator's replaces ours, and Cc and Bcc add recipients.
    fn add_header(&mut self, name: &str, values: &[&str]) -> anyhow::Result<()> {
        let told = |what: &str| format!("GOTRUE_SMTP_HEADERS: {name:?} {what}");
        let is_token = |c: char| c.is_ascii_graphic() && c != ':';
        anyhow::ensure!(name.chars().all(is_token), told("is no name of a header"));
        let header = HeaderName::new_from_ascii(name.to_owned())
            .ok()
            .with_context(|| told("is no name of a header"))?;
        if ["cc", "bcc"]
            .iter()
            .any(|copy| name.eq_ignore_ascii_case(copy))
        {
            for value in values {
                let list: Mailboxes = value
                    .parse()
                    .ok()
                    .with_context(|| told("is not a list of e-mail addresses"))?;
                self.copies
                    .extend(list.into_iter().map(|mailbox| mailbox.email));
            }
            if name.eq_ignore_ascii_case("bcc") {
                return Ok(());
            }
        }
        self.headers.push((header, values.join(", ")));
        Ok(())
    }

    /// Whether mails are sent nowhere.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(self.way, Way::Off)
    }

    /// Sends a mail once.
    pub async fn send(&self, message: &Message, now: Timestamp) -> Result<(), Failure> {
        if self.is_off() {
            return Ok(());
        }
        let from = self
            .from
            .as_ref()
            .ok_or_else(|| Failure::passing("GOTRUE_SMTP_ADMIN_EMAIL is not set"))?;
        if self.logged {
            tracing::info!(
                event = "mail.send",
                mail_type = public_kind(&message.kind),
                mail_from = %from,
                mail_to = message.to,
                "mail.send"
            );
        }
        let to = address(&message.to).map_err(|_| {
            Failure::final_one("the recipient's address is none that SMTP can carry")
        })?;
        let data = self
            .write(message, from, &to, now)
            .map_err(|error| Failure::final_one(&format!("the mail cannot be written: {error}")))?;
        let recipients: Vec<_> = std::iter::once(&to).chain(&self.copies).cloned().collect();
        match &self.way {
            Way::Off => Ok(()),
            Way::Smtp(relay) => {
                relay
                    .send(&from.email, &recipients, &data)
                    .await
                    .map_err(|failure| Failure {
                        reason: without_secrets(&failure.reason, message),
                        ..failure
                    })
            }
            Way::Memory(sink) => {
                let recipients: Vec<_> = recipients.iter().map(ToString::to_string).collect();
                sink.receive(&recipients, &data);
                Ok(())
            }
        }
    }

    /// The mail as SMTP carries it: ASCII only, whatever stands in it.
    fn write(
        &self,
        message: &Message,
        from: &Mailbox,
        to: &Address,
        now: Timestamp,
    ) -> anyhow::Result<Vec<u8>> {
        let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])?;
        let mut builder = Mime::builder()
            .envelope(envelope)
            .from(from.clone())
            .to(to.clone().into())
            .raw_header(header(SUBJECT, &message.subject))
            .date(SystemTime::from(now))
            .message_id(Some(format!("<{}@{}>", message.id, self.host)));
        for (name, value) in &self.headers {
            let value = value.replace("$messageType", public_kind(&message.kind));
            builder = builder.raw_header(header(name.clone(), &value));
        }
        let mime = match &message.text {
            // The end of the mail is the end of a line, too: one that the HTML has already.
            None => builder.singlepart(part(
                HTML,
                message.html.strip_suffix('\n').unwrap_or(&message.html),
            )?),
            Some(text) => {
                let parts = MultiPart::alternative().singlepart(part(TEXT, text)?);
                builder.multipart(parts.singlepart(part(HTML, &message.html)?))
            }
        };
        Ok(mime?.formatted())
    }

    /// Closes the connections that are kept for further mails.
    pub async fn close(&self) {
        if let Way::Smtp(relay) = &self.way {
            relay.close().await;
        }
    }
}

impl Failure {
    fn passing(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            permanent: false,
        }
    }

    fn final_one(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            permanent: true,
        }
    }
}

/// An address as SMTP carries it: the domain in ASCII (RFC 5890), where it can be.
fn address(text: &str) -> Result<Address, lettre::address::AddressError> {
    let address: Address = text.parse()?;
    match url::Host::parse(address.domain()) {
        Ok(url::Host::Domain(domain)) if !address.domain().is_ascii() => {
            Address::new(address.user(), domain)
        }
        _ => Ok(address),
    }
}

/// What nobody may put into a header: the end of its line (RFC 5322 §2.2), nor any other control character.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// What a relay told, short, without the links and codes that it may have quoted from the mail.
fn without_secrets(reason: &str, message: &Message) -> String {
    let quotes = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let inside = message.subject.contains(word) || message.html.contains(word);
        word.contains("://")
            || word.len() >= 6 && word.contains(|c: char| c.is_ascii_digit()) && inside
    };
    let words = reason
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let words: Vec<_> = words
        .map(|word| if quotes(word) { "(..)" } else { word })
        .collect();
    words.join(" ").chars().take(MAX_REASON).collect()
}

/// GoTrue says `reauthenticate` where headers and logs name that kind (`templatemailer/template.go`).
fn public_kind(kind: &str) -> &str {
    match kind {
        "reauthentication" => "reauthenticate",
        _ => kind,
    }
}

/// A header's line: words beyond printable ASCII as encoded words (RFC 2047), all of it then, for spaces between
/// encoded words do not count.
fn header(name: HeaderName, value: &str) -> HeaderValue {
    let value = one_line(value);
    if value.is_ascii() && !value.contains("=?") {
        return HeaderValue::new(name, value);
    }
    let mut words = vec![String::new()];
    for c in value.chars() {
        match words
            .last_mut()
            .filter(|word| word.len() + c.len_utf8() <= ENCODED_WORD)
        {
            Some(word) => word.push(c),
            None => words.push(c.into()),
        }
    }
    let words: Vec<_> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    HeaderValue::dangerous_new_pre_encoded(name, value, words.join("\r\n "))
}

/// A part of this type, its text spelt in ASCII.
fn part(kind: Kind, text: &str) -> anyhow::Result<SinglePart> {
    // Lines end with CR LF on the wire (RFC 5321 §2.3.8), whatever the template's do.
    let text = text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n");
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| anyhow::anyhow!("its text cannot be encoded"))?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// The type of a part, spelt as GoTrue's mails have it.
#[derive(Clone, Copy)]
struct Kind(&'static str);

const HTML: Kind = Kind("text/html; charset=UTF-8");
const TEXT: Kind = Kind("text/plain; charset=UTF-8");

impl Header for Kind {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Type")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let known = [HTML, TEXT].into_iter().find(|kind| kind.0 == text);
        known.ok_or_else(|| "another type".into())
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.to_owned())
    }
}

#[cfg(test)]
mod tests;
