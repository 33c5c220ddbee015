//! A received mail or text message, as the inbox shows it: Mailpit's fields, and the link and code a person looks for.

use mail_parser::{Message, MessageParser, PartType};
use serde::Serialize;

use crate::clock::Timestamp;

mod text;

/// How many characters of the text a list shows.
const SNIPPET: usize = 200;

/// What the SMTP dialogue said about a mail.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub from: String,
    /// Every `RCPT TO`.
    pub to: Vec<String>,
}

/// Mailpit's form of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Address {
    /// The display name, often empty.
    pub name: String,
    /// `alice@example.com`.
    pub address: String,
}

/// What Mailpit says about a mail in lists and alone alike.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Head {
    /// Our own name for it.
    #[serde(rename = "ID")]
    pub id: String,
    /// The sender's name for it, without angle brackets.
    #[serde(rename = "MessageID")]
    pub message_id: String,
    /// The `From` header, else the envelope's sender.
    pub from: Address,
    /// The `To` header.
    pub to: Vec<Address>,
    /// The `Cc` header.
    pub cc: Vec<Address>,
    /// Recipients that no header names.
    pub bcc: Vec<Address>,
    /// The `Reply-To` header.
    pub reply_to: Vec<Address>,
    /// The subject, decoded.
    pub subject: String,
    /// Bytes as received.
    pub size: usize,
    /// Always empty; clients of Mailpit expect the field.
    pub tags: [String; 0],
    /// Always empty; clients of Mailpit expect the field.
    pub username: &'static str,
    /// Not Mailpit's: the link to follow, if the text has one.
    pub link: Option<String>,
    /// Not Mailpit's: the one-time code, if the text has one.
    pub code: Option<String>,
}

/// A received mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who, to whom, about what.
    pub head: Head,
    /// When it arrived.
    pub received: Timestamp,
    /// The text part; made from the HTML, links kept, where there is none.
    pub text: String,
    /// The HTML part, or empty.
    pub html: String,
    /// As it came over the wire.
    pub raw: Vec<u8>,
}

impl Mail {
    /// Reads what a client sent. Never fails: whatever cannot be understood is shown as text.
    #[must_use]
    pub fn read(id: String, received: Timestamp, envelope: &Envelope, raw: Vec<u8>) -> Self {
        let message = MessageParser::default().parse(&raw);
        let (html, text) = message.as_ref().map_or_else(
            || (String::new(), String::from_utf8_lossy(&raw).into_owned()),
            |message| bodies(message),
        );
        let text = if text.is_empty() {
            text::of_html(&html)
        } else {
            text
        };
        let message = message.as_ref();
        let listed =
            |field: fn(&Message<'_>) -> Vec<Address>| message.map(field).unwrap_or_default();
        let from = listed(|message| addresses(message.from()))
            .into_iter()
            .next();
        let to = listed(|message| addresses(message.to()));
        let cc = listed(|message| addresses(message.cc()));
        let named = |address: &str| {
            to.iter()
                .chain(&cc)
                .any(|known| known.address.eq_ignore_ascii_case(address))
        };
        let bcc = envelope
            .to
            .iter()
            .filter(|address| !named(address))
            .map(|address| plain(address))
            .collect();
        let head = Head {
            id,
            message_id: message
                .and_then(Message::message_id)
                .unwrap_or_default()
                .to_owned(),
            from: from.unwrap_or_else(|| plain(&envelope.from)),
            reply_to: listed(|message| addresses(message.reply_to())),
            subject: message
                .and_then(Message::subject)
                .unwrap_or_default()
                .to_owned(),
            size: raw.len(),
            tags: [],
            username: "",
            link: link(&text),
            code: code(&text),
            to,
            cc,
            bcc,
        };
        Self {
            head,
            received,
            text,
            html,
            raw,
        }
    }

    /// A text message to a phone.
    #[must_use]
    pub fn text_message(id: String, received: Timestamp, phone: &str, text: String) -> Self {
        let head = Head {
            id,
            message_id: String::new(),
            from: plain("SMS"),
            to: vec![plain(phone)],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: "Text message".to_owned(),
            size: text.len(),
            tags: [],
            username: "",
            link: link(&text),
            code: code(&text),
        };
        Self {
            head,
            received,
            html: String::new(),
            raw: text.clone().into_bytes(),
            text,
        }
    }

    /// The beginning of the text on one line.
    #[must_use]
    pub fn snippet(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().take(SNIPPET).collect();
        words.join(" ").chars().take(SNIPPET).collect()
    }

    /// The header lines, in order, folded lines joined.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        MessageParser::default()
            .parse(&self.raw)
            .map_or_else(Vec::new, |message| {
                let unfolded = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
                message
                    .headers_raw()
                    .map(|(name, value)| (name.to_owned(), unfolded(value)))
                    .collect()
            })
    }
}

fn plain(address: &str) -> Address {
    Address {
        name: String::new(),
        address: address.to_owned(),
    }
}

fn addresses(header: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    let text =
        |part: &Option<std::borrow::Cow<'_, str>>| part.as_deref().unwrap_or_default().to_owned();
    header
        .into_iter()
        .flat_map(mail_parser::Address::iter)
        .map(|found| Address {
            name: text(&found.name),
            address: text(&found.address),
        })
        .collect()
}

fn bodies(message: &Message<'_>) -> (String, String) {
    let html = message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.to_string()),
        _ => None,
    });
    let text = message.text_bodies().find_map(|part| match &part.body {
        PartType::Text(text) => Some(text.to_string()),
        _ => None,
    });
    (html.unwrap_or_default(), text.unwrap_or_default())
}

fn urls(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "<>\"'()[]{}".contains(c);
    text.split(ends)
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
}

/// The link that confirms, recovers or signs in; else the first there is.
fn link(text: &str) -> Option<String> {
    urls(text)
        .find(|url| url.contains("token"))
        .or_else(|| urls(text).next())
        .map(str::to_owned)
}

/// Six to ten digits that stand alone (GoTrue's range of code lengths), outside links and addresses.
fn code(text: &str) -> Option<String> {
    text.split_whitespace()
        .filter(|word| !word.contains("://") && !word.contains('@'))
        .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()))
        .find(|word| {
            (6..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    fn read(raw: &str) -> Mail {
        let envelope = Envelope {
            from: "sender@example.com".into(),
            to: vec!["alice@example.com".into(), "hidden@example.com".into()],
        };
        Mail::read(
            "1".into(),
            SystemClock.now(),
            &envelope,
            raw.replace('\n', "\r\n").into_bytes(),
        )
    }

    #[test]
    fn reads_a_mail_with_both_parts() {
        let mail = read(
            "From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.com>\nTo: \"Alice, A.\" <alice@example.com>\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\n\
             Message-ID: <x@y>\nContent-Type: multipart/alternative; boundary=b\n\n\
             --b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
             Follow https://example.com/about or\nhttp://localhost:9999/verify?token=3Dabc&type=3Dsignup .\nThe code is 123456.\n\
             --b\nContent-Type: text/html\n\n<p>Follow</p>\n--b--\n",
        );
        assert_eq!(
            mail.head.from,
            Address {
                name: "Jürgen".into(),
                address: "juergen@example.com".into()
            }
        );
        assert_eq!(
            mail.head.to,
            [Address {
                name: "Alice, A.".into(),
                address: "alice@example.com".into()
            }]
        );
        assert_eq!(mail.head.bcc, [plain("hidden@example.com")]);
        assert_eq!(mail.head.subject, "Grüße");
        assert_eq!(mail.head.message_id, "x@y");
        assert_eq!(
            mail.head.link.as_deref(),
            Some("http://localhost:9999/verify?token=abc&type=signup")
        );
        assert_eq!(mail.head.code.as_deref(), Some("123456"));
        assert!(mail.html.contains("<p>Follow</p>"));
        assert!(
            mail.snippet()
                .starts_with("Follow https://example.com/about or http")
        );
    }

    #[test]
    fn text_made_from_html_keeps_links() {
        let mail = read(
            "Subject: x\nContent-Type: text/html\n\n<html><head><style>a{}</style></head><body><h2>Hi</h2>\
             <p>Go <A class='b' HREF=\"http://h/verify?token=1&amp;type=signup\">here</A></p></body></html>",
        );
        assert_eq!(
            mail.text,
            "Hi\nGo here ( http://h/verify?token=1&type=signup )"
        );
        assert_eq!(
            mail.head.link.as_deref(),
            Some("http://h/verify?token=1&type=signup")
        );
        assert_eq!(mail.head.from.address, "sender@example.com");
    }

    #[test]
    fn codes_stand_alone() {
        assert_eq!(code("Ihr Code: 12345678."), Some("12345678".into()));
        assert_eq!(
            code("https://x/?t=123456 bob123456@x 1234 2024-01-01 a123456 12345678901"),
            None
        );
    }

    proptest! {
        #[test]
        fn anything_can_be_read(raw: Vec<u8>) {
            let mail = Mail::read(String::new(), SystemClock.now(), &Envelope::default(), raw);
            prop_assert!(mail.snippet().chars().count() <= SNIPPET);
            let _ = mail.headers();
        }
    }
}
