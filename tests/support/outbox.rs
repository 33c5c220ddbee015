//! The mails of a test, read as a mail program reads them.

use std::sync::{Arc, LazyLock, Mutex};

use mail_parser::{Addr, MessageParser, MimeHeaders as _};
use regex::Regex;
use truegate::outside::mail::Sink;

/// Every mail that was sent and not yet taken, oldest first.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<Mail>>>);

/// One mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The addresses of the envelope, joined by ", ".
    pub to: String,
    pub from: String,
    pub subject: String,
    /// `text/html`, `multipart/alternative`, ..
    pub content_type: String,
    /// The HTML body, or the text where there is none; lines end with LF.
    pub html: String,
    /// The text body, when the mail has one of its own.
    pub text: Option<String>,
    headers: Vec<(String, String)>,
}

impl Outbox {
    /// The oldest mail, to this address if one is given.
    pub fn take(&self, to: Option<&str>) -> Option<Mail> {
        let mut mails = self.0.lock().unwrap();
        let index = mails
            .iter()
            .position(|mail| to.is_none_or(|to| mail.to == to))?;
        Some(mails.remove(index))
    }

    /// The only mail.
    pub fn take_one(&self) -> Mail {
        let mails = std::mem::take(&mut *self.0.lock().unwrap());
        let subjects: Vec<_> = mails.iter().map(|mail| (&mail.to, &mail.subject)).collect();
        assert_eq!(
            mails.len(),
            1,
            "one mail was expected; there are {subjects:?}"
        );
        mails.into_iter().next().unwrap()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Sink for Outbox {
    fn receive(&self, recipients: &[String], data: &[u8]) {
        self.0.lock().unwrap().push(Mail::read(recipients, data));
    }
}

static HREF: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"href="([^"]*)""#).unwrap());
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[^>]*>").unwrap());
static ENTITY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("&(?:(amp|lt|gt|quot)|#([0-9]+));").unwrap());

impl Mail {
    fn read(recipients: &[String], data: &[u8]) -> Self {
        let message = MessageParser::default()
            .parse(data)
            .expect("a mail that can be read");
        let part = |index: Option<&u32>| {
            message
                .part(*index?)?
                .text_contents()
                .map(|text| text.replace("\r\n", "\n"))
        };
        let kind = message.content_type().expect("a mail says what it is");
        let html = part(message.html_body.first()).expect("a mail has a body");
        let text = part(message.text_body.first()).filter(|text| *text != html);
        // As written, with its folding undone.
        let unfold = |text: &str| text.replace("\r\n", "").trim().to_owned();
        let headers = message
            .headers_raw()
            .map(|(name, text)| (name.to_ascii_lowercase(), unfold(text)));
        Self {
            to: recipients.join(", "),
            from: message
                .from()
                .and_then(|from| from.first())
                .map(address)
                .unwrap_or_default(),
            subject: message.subject().unwrap_or_default().to_owned(),
            content_type: format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()),
            headers: headers.collect(),
            html,
            text,
        }
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The targets of its links, in order.
    pub fn links(&self) -> Vec<String> {
        links(&self.html)
    }

    /// Its first link.
    pub fn link(&self) -> String {
        self.links()
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no link in {:?}", self.html))
    }

    /// Its code: the first six to ten digits that touch no letter, digit, `_` or `-`.
    pub fn code(&self) -> Option<String> {
        let plain = format!("{} {}", TAG.replace_all(&self.html, " "), self.subject);
        plain
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .find(|word| {
                (6..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
            })
            .map(ToOwned::to_owned)
    }
}

/// The targets of the links in a text, in order.
pub fn links(html: &str) -> Vec<String> {
    HREF.captures_iter(html)
        .map(|found| unescape(&found[1]))
        .collect()
}

/// `Name <address>`, the name quoted where it has to be.
fn address(address: &Addr<'_>) -> String {
    let mail = address.address().unwrap_or_default();
    match address.name() {
        Some(name) if name.contains(|c| r#"()<>@,:;.\"[]"#.contains(c)) => {
            format!(
                "\"{}\" <{mail}>",
                name.replace('\\', "\\\\").replace('"', "\\\"")
            )
        }
        Some(name) if !name.is_empty() => format!("{name} <{mail}>"),
        _ => mail.to_owned(),
    }
}

/// Undoes the escapes that Go's templates and ours write into attributes.
fn unescape(text: &str) -> String {
    let replaced = ENTITY.replace_all(text, |found: &regex::Captures<'_>| {
        match found.get(1).map(|name| name.as_str()) {
            Some("amp") => "&".to_owned(),
            Some("lt") => "<".to_owned(),
            Some("gt") => ">".to_owned(),
            Some(_) => "\"".to_owned(),
            None => found[2]
                .parse()
                .ok()
                .and_then(char::from_u32)
                .map(String::from)
                .unwrap_or_default(),
        }
    });
    replaced.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_as_people_read_it() {
        let outbox = Outbox::default();
        let data =
            b"From: =?UTF-8?q?=C3=9Cn=C3=AF?= <noreply@example.com>\r\nTo: a@example.com\r\n\
            Subject: Your code\r\nX-Kind: one\r\n two\r\nContent-Type: text/html; charset=UTF-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>x-123456 <b>654321</b></p>\r\n\
            <a href=3D\"https://example.com/?a=3D1&amp;b=3D&#43;\">Go</a>\r\n";
        outbox.receive(&["a@example.com".into()], data);
        let mail = outbox.take_one();
        assert_eq!(
            (mail.from.as_str(), mail.content_type.as_str()),
            ("Ünï <noreply@example.com>", "text/html")
        );
        assert_eq!(mail.code().as_deref(), Some("654321"));
        assert_eq!(mail.link(), "https://example.com/?a=1&b=+");
        assert_eq!(mail.header("x-kind"), Some("one two"));
        assert!(mail.html.ends_with("</a>\n"));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_mail_in_two_parts_is_read_as_both() {
        let outbox = Outbox::default();
        let data = b"From: noreply@example.com\r\nSubject: Hello\r\n\
            Content-Type: multipart/alternative; boundary=x\r\n\r\n\
            --x\r\nContent-Type: text/plain\r\n\r\nHello\r\n\
            --x\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--x--\r\n";
        outbox.receive(&["a@example.com".into()], data);
        let mail = outbox.take_one();
        assert_eq!(mail.content_type, "multipart/alternative");
        assert_eq!(
            (mail.html.as_str(), mail.text.as_deref()),
            ("<p>Hello</p>", Some("Hello"))
        );
    }
}
