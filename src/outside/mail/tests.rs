//! What stands in a mail, as a mail program reads it.

use std::sync::Mutex;

use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::*;
use crate::clock::{Clock as _, SystemClock};

#[derive(Default)]
struct Memory(Mutex<Vec<(Vec<String>, Vec<u8>)>>);

impl Sink for Memory {
    fn receive(&self, recipients: &[String], data: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .push((recipients.to_vec(), data.to_vec()));
    }
}

fn sender(settings: &[(&str, &str)]) -> (Sender, Arc<Memory>) {
    let base = [
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-tests-with-more-than-32-characters",
        ),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("GOTRUE_SMTP_HOST", "relay.example.com"),
        ("GOTRUE_SMTP_ADMIN_EMAIL", "noreply@example.com"),
    ];
    let pairs = base
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let memory = Arc::new(Memory::default());
    let config = Config::from_pairs(pairs).unwrap();
    (Sender::in_memory(&config, memory.clone()).unwrap(), memory)
}

fn message() -> Message {
    Message {
        id: uuid::Uuid::nil(),
        kind: "reauthentication".into(),
        to: "ann@example.com".into(),
        subject: "123456 is your code".into(),
        html: "<p>Grüße:\n<a href=\"https://example.com/?a=1&amp;b=2\">Go</a>\n.\n</p>\n".into(),
        text: None,
    }
}

/// The envelope's recipients, and the data.
async fn sent(settings: &[(&str, &str)], message: &Message) -> (Vec<String>, String) {
    let (sender, memory) = sender(settings);
    sender.send(message, SystemClock.now()).await.unwrap();
    let (recipients, data) = memory.0.lock().unwrap().remove(0);
    (recipients, String::from_utf8(data).unwrap())
}

#[tokio::test]
async fn operators_templates_go_out_as_html_only_and_ours_with_text() {
    let (recipients, data) = sent(
        &[("GOTRUE_SMTP_SENDER_NAME", "Ünï \"Sender\", Inc.")],
        &message(),
    )
    .await;
    assert_eq!(recipients, ["ann@example.com"]);
    assert!(data.is_ascii());
    assert!(data.contains("MIME-Version: 1.0\r\n"), "{data}");
    assert!(
        data.contains("Message-ID: <00000000-0000-0000-0000-000000000000@auth.example.com>\r\n"),
        "{data}"
    );
    assert!(
        data.contains("Content-Type: text/html; charset=UTF-8\r\n"),
        "{data}"
    );
    assert!(
        data.contains("Content-Transfer-Encoding: quoted-printable\r\n"),
        "{data}"
    );
    let mail = MessageParser::default().parse(data.as_bytes()).unwrap();
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("Ünï \"Sender\", Inc."), Some("noreply@example.com"))
    );
    assert_eq!(
        mail.body_html(0).unwrap().replace("\r\n", "\n"),
        message().html
    );

    let with_text = Message {
        text: Some("Grüße".into()),
        ..message()
    };
    let (_, data) = sent(&[], &with_text).await;
    let mail = MessageParser::default().parse(data.as_bytes()).unwrap();
    assert_eq!(mail.content_type().unwrap().subtype(), Some("alternative"));
    assert_eq!(
        (mail.body_text(0).unwrap().as_ref(), mail.html_body_count()),
        ("Grüße", 1)
    );
}

#[tokio::test]
async fn headers_of_the_operator_are_added_or_replace_ours() {
    let headers = r#"{"x-kind":["$messageType"],"x-fixed":["a","b"],"reply-to":["help@example.com"],"":["x"],"x-none":[""],
        "Bcc":["copy@example.com, \"Other, one\" <other@example.com>"],"subject":["Übrigens\r\nBcc: evil@example.com"]}"#;
    let (recipients, data) = sent(&[("GOTRUE_SMTP_HEADERS", headers)], &message()).await;
    assert_eq!(
        recipients,
        ["ann@example.com", "copy@example.com", "other@example.com"]
    );
    for line in [
        "x-kind: reauthenticate\r\n",
        "x-fixed: a, b\r\n",
        "reply-to: help@example.com\r\n",
    ] {
        assert!(data.contains(line), "{line}{data}");
    }
    assert!(
        !data.to_lowercase().contains("\nbcc:") && !data.contains("x-none"),
        "{data}"
    );
    let mail = MessageParser::default().parse(data.as_bytes()).unwrap();
    assert_eq!(mail.subject(), Some("Übrigens  Bcc: evil@example.com"));
}

#[tokio::test]
async fn attack_009_no_text_adds_a_header_or_a_recipient() {
    let evil = "x\r\nBcc: evil@example.com\r\n\r\nbody\r\n.\r\nMAIL FROM:<evil@example.com>";
    let message = Message {
        subject: evil.into(),
        kind: evil.into(),
        ..message()
    };
    let settings = [
        ("GOTRUE_SMTP_SENDER_NAME", evil),
        ("GOTRUE_SMTP_HEADERS", r#"{"x-kind":["$messageType"]}"#),
    ];
    let (recipients, data) = sent(&settings, &message).await;
    assert_eq!(recipients, ["ann@example.com"]);
    let head = data.split("\r\n\r\n").next().unwrap();
    assert!(
        head.lines()
            .all(|line| !line.to_lowercase().starts_with("bcc") && !line.starts_with("MAIL")),
        "{head}"
    );
    assert!(
        MessageParser::default()
            .parse(data.as_bytes())
            .unwrap()
            .bcc()
            .is_none()
    );

    let (sender, memory) = sender(&[]);
    for to in [
        "a@example.com>\r\nRCPT TO:<evil@example.com",
        "a@example.com\r\nBcc: evil@example.com",
        "a@x.com, b@x.com",
    ] {
        let failure = sender
            .send(
                &Message {
                    to: to.into(),
                    ..self::message()
                },
                SystemClock.now(),
            )
            .await
            .unwrap_err();
        assert!(failure.permanent, "{to:?}");
    }
    assert!(memory.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_domain_beyond_ascii_is_carried_in_ascii() {
    let (recipients, _) = sent(
        &[],
        &Message {
            to: "ann@bücher.example".into(),
            ..message()
        },
    )
    .await;
    assert_eq!(recipients, ["ann@xn--bcher-kva.example"]);
}

#[tokio::test]
async fn without_relay_every_mail_succeeds() {
    let (sender, memory) = sender(&[("GOTRUE_SMTP_HOST", "")]);
    assert!(sender.is_off());
    sender.send(&message(), SystemClock.now()).await.unwrap();
    assert!(memory.0.lock().unwrap().is_empty());
}

#[test]
fn what_the_relay_quotes_of_a_mail_is_not_repeated() {
    let reason = "permanent error (554): 5.7.1 spam,\0 see \"123456\" at https://example.com/?token=1 for ann@example.com";
    assert_eq!(
        without_secrets(reason, &message()),
        "permanent error (554): 5.7.1 spam, see (..) at (..) for ann@example.com"
    );
    assert_eq!(
        without_secrets(&"é ".repeat(1000), &message())
            .chars()
            .count(),
        MAX_REASON
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_survives_in_one_piece(subject in "\\PC{0,99}", html in "[a=.\u{0}-\u{ff}🕴]{0,99}", name in "\\PC{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let message = Message { subject: subject.clone(), html: html.clone(), ..message() };
        let (_, data) = runtime.block_on(sent(&[("GOTRUE_SMTP_SENDER_NAME", &name)], &message));
        prop_assert!(data.is_ascii());
        let mail = MessageParser::default().parse(data.as_bytes()).unwrap();
        let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned();
        prop_assert_eq!(lines(&mail.body_html(0).unwrap()), lines(&html));
        prop_assert_eq!(mail.from().unwrap().first().unwrap().address(), Some("noreply@example.com"));
        let read = mail.subject().unwrap_or_default();
        prop_assert_eq!(read.trim(), subject.trim());
    }
}
