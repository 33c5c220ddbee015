use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;

use chrono::{DateTime, TimeDelta};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::outside::Http;

fn start() -> Timestamp {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A web server that gives these answers (status and body) to one request each, the last one ever after.
struct Site {
    url: String,
    requests: Arc<StdMutex<Vec<String>>>,
}

impl Site {
    async fn answering(answers: &[(&str, &str)]) -> Self {
        use tokio::io::AsyncReadExt as _;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(StdMutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answers: Vec<(String, String)> = answers
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                let line = String::from_utf8_lossy(&head[..length])
                    .lines()
                    .next()
                    .unwrap_or("")
                    .to_owned();
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(line);
                    seen.len()
                };
                let (status, body) = &answers[(count - 1).min(answers.len() - 1)];
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn templates(settings: &[(&str, &str)]) -> Templates {
    let mut pairs = BTreeMap::from([
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("DATABASE_URL", "postgres://localhost/x"),
        (
            "GOTRUE_JWT_SECRET",
            "super-secret-jwt-token-with-at-least-32-characters-long",
        ),
    ]);
    pairs.extend(settings.iter().copied());
    let config = Config::from_pairs(pairs).unwrap();
    Templates::new(&config, Http::default())
}

async fn render(templates: &Templates, kind: MailKind, now: Timestamp) -> Rendered {
    templates.get(kind, now).await.render(&sample()).unwrap()
}

const BODY: &str = "GOTRUE_MAILER_TEMPLATES_CONFIRMATION";
const SUBJECT: &str = "GOTRUE_MAILER_SUBJECTS_CONFIRMATION";

/// The links as the recordings' replayer finds them.
fn links(html: &str) -> Vec<&str> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Runs of 6 to 10 digits outside of tags that touch no letter, digit or minus: what a test takes for the code.
fn codes(html: &str) -> Vec<String> {
    let text: String = html
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text))
        .collect::<Vec<_>>()
        .join(" ");
    text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
        .filter(|word| {
            (6..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn our_mails_have_the_links_and_codes_of_gotrues() {
    let templates = templates(&[]);
    for kind in MailKind::ALL {
        let own = defaults::template(kind);
        assert!(own.text.is_some(), "{kind:?}");
        let mail = render(&templates, kind, start()).await;
        let text = mail.text.unwrap();
        let linked = matches!(
            kind,
            MailKind::Invite
                | MailKind::Confirmation
                | MailKind::Recovery
                | MailKind::MagicLink
                | MailKind::EmailChange
        );
        let link = "https://example.com/verify?token=0&amp;type=signup&amp;redirect_to=https://example.com";
        assert_eq!(
            links(&mail.html),
            if linked { vec![link; 2] } else { vec![] },
            "{kind:?}"
        );
        assert_eq!(
            text.contains("https://example.com/verify?token=0&type=signup&"),
            linked,
            "{kind:?}"
        );
        let coded = kind == MailKind::Reauthentication;
        assert_eq!(
            codes(&mail.html),
            if coded { vec!["123456"] } else { vec![] },
            "{kind:?}"
        );
        assert_eq!(text.contains("123456"), coded, "{kind:?}");

        assert!(
            mail.html.starts_with("<!DOCTYPE html>"),
            "{kind:?}: {}",
            mail.html
        );
        for wanted in ["prefers-color-scheme: dark", "<title>", "<h1 "] {
            assert!(mail.html.contains(wanted), "{kind:?}");
        }
        for unwanted in ["ZgotmplZ", "no value", "{{", "<img", "&lt;"] {
            assert!(!mail.html.contains(unwanted), "{kind:?}: {}", mail.html);
            assert!(!text.contains(unwanted), "{kind:?}: {text}");
        }
        assert!(
            text.lines().all(|line| line.len() <= 100),
            "{kind:?}: {text}"
        );
        assert!(!text.contains("\n\n\n"), "{kind:?}: {text}");
    }
}

#[tokio::test]
async fn subjects_are_gotrues_or_the_operators() {
    let plain = templates(&[]);
    assert_eq!(
        render(&plain, MailKind::Invite, start()).await.subject,
        "You've been invited"
    );
    assert_eq!(
        render(&plain, MailKind::Reauthentication, start())
            .await
            .subject,
        "123456 is your verification code"
    );

    let own = templates(&[(SUBJECT, "Tom & {{ .Data.name }} <x>")]);
    let mut variables = sample();
    variables.insert(
        "Data".into(),
        json!({ "name": "<b>\r\nBcc: eve@example.com" }),
    );
    let mail = own
        .get(MailKind::Confirmation, start())
        .await
        .render(&variables)
        .unwrap();
    assert_eq!(mail.subject, "Tom & &lt;b&gt;  Bcc: eve@example.com <x>");
    assert!(mail.text.is_some());
}

#[tokio::test]
async fn a_template_is_asked_for_once_and_again_when_it_is_old() {
    let site = Site::answering(&[
        ("200 OK", "one {{ .Token }}"),
        ("200 OK", "two {{ .Token }}"),
    ])
    .await;
    let mut now = start();
    let templates = templates(&[(BODY, &format!("{}/tpl", site.url))]);
    let mail = render(&templates, MailKind::Confirmation, now).await;
    assert_eq!((mail.html.as_str(), mail.text), ("one 123456", None));
    assert_eq!(mail.subject, "Confirm your email address");
    now += TimeDelta::seconds(599);
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "one 123456"
    );
    now += TimeDelta::seconds(1);
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "two 123456"
    );
    assert_eq!(site.requests(), ["GET /tpl HTTP/1.1"; 2]);
}

#[tokio::test]
async fn many_mails_at_once_ask_once() {
    let site = Site::answering(&[("200 OK", "one")]).await;
    let templates = templates(&[(BODY, &site.url)]);
    join_all((0..20).map(async |_| render(&templates, MailKind::Confirmation, start()).await))
        .await;
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_loaded_is_replaced_and_tried_again() {
    let site = Site::answering(&[
        ("500 Oops", "x"),
        ("200 OK", "good"),
        ("404 Gone", "x"),
        ("200 OK", "better"),
    ])
    .await;
    let mut now = start();
    let templates = templates(&[(BODY, &site.url), (SUBJECT, "Hi {{ .Token }}")]);
    // Ours, with our subject.
    let mail = render(&templates, MailKind::Confirmation, now).await;
    assert_eq!(mail.subject, "Confirm your email address");
    assert!(mail.text.is_some());
    now += TimeDelta::seconds(9);
    assert!(
        render(&templates, MailKind::Confirmation, now)
            .await
            .text
            .is_some()
    );
    now += TimeDelta::seconds(1);
    let mail = render(&templates, MailKind::Confirmation, now).await;
    assert_eq!(
        (mail.subject.as_str(), mail.html.as_str()),
        ("Hi 123456", "good")
    );
    // Old, and not to be had: the old one, and a pause before the next attempt.
    now += TimeDelta::seconds(600);
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "good"
    );
    now += TimeDelta::seconds(9);
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "good"
    );
    assert_eq!(site.requests().len(), 3);
    now += TimeDelta::seconds(1);
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "better"
    );
}

#[tokio::test]
async fn reloading_keeps_templates_fresh_while_mails_are_sent() {
    let site = Site::answering(&[("200 OK", "one"), ("200 OK", "two"), ("200 OK", "three")]).await;
    let mut now = start();
    let templates = templates(&[(BODY, &site.url)]);
    templates.reload(now).await;
    templates.reload(now).await;
    assert_eq!(site.requests().len(), 1);
    now += TimeDelta::seconds(540);
    templates.reload(now).await;
    assert_eq!(site.requests().len(), 2);
    now += TimeDelta::seconds(660);
    templates.reload(now).await;
    assert_eq!(site.requests().len(), 2, "idle for twenty minutes");
    assert_eq!(
        render(&templates, MailKind::Confirmation, now).await.html,
        "three"
    );
}

#[tokio::test]
async fn a_long_template_is_cut_and_redirects_are_followed() {
    let site = Site::answering(&[
        ("302 Found\r\nlocation: /b", ""),
        ("200 OK", "äöü-xxxxxxxx"),
    ])
    .await;
    let templates = templates(&[(BODY, &site.url), ("GOTRUE_MAILER_TEMPLATE_MAX_SIZE", "3")]);
    assert_eq!(
        render(&templates, MailKind::Confirmation, start())
            .await
            .html,
        "ä"
    );
    assert_eq!(site.requests(), ["GET / HTTP/1.1", "GET /b HTTP/1.1"]);
}

#[tokio::test]
async fn a_template_may_be_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file: {{ .Email }}").unwrap();
    let templates = templates(&[(BODY, &format!("file://{}", file.path().display()))]);
    assert_eq!(
        render(&templates, MailKind::Confirmation, start())
            .await
            .html,
        "from a file: ann@example.com"
    );
}

#[test]
fn where_a_template_is() {
    let http = |url: &str| Source::Http(url.into());
    let site = "https://app.example.com";
    assert_eq!(
        Source::new("https://x.example.com/t", site),
        http("https://x.example.com/t")
    );
    assert_eq!(
        Source::new("/mails/t.html", site),
        http("https://app.example.com/mails/t.html")
    );
    assert_eq!(
        Source::new("file:///etc/t.html", site),
        Source::File("/etc/t.html".into())
    );
}

#[tokio::test]
async fn what_fails_with_the_data_sends_no_mail() {
    let site = Site::answering(&[("200 OK", "{{ .Data.name.first }}")]).await;
    let templates = templates(&[(BODY, &site.url)]);
    let mut variables = sample();
    variables.insert("Data".into(), json!({ "name": "Ann" }));
    let error = templates
        .get(MailKind::Confirmation, start())
        .await
        .render(&variables)
        .unwrap_err();
    let crate::error::Error::Failed(failure) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        format!("{:#}", failure.cause),
        "the template for confirmation: line 1: can't evaluate field first in type string"
    );
}

#[tokio::test]
async fn check_tells_what_is_wrong_with_line_and_reason() {
    let site = Site::answering(&[("200 OK", "<p>\n{{ upper .Email }}")]).await;
    let other = Site::answering(&[("200 OK", "{{ index .Data.list 0 }}")]).await;
    let gone = Site::answering(&[("404 Not Found", "")]).await;
    let good = Site::answering(&[("200 OK", "<p>{{ .Email }}</p>")]).await;
    let templates = templates(&[
        ("GOTRUE_MAILER_TEMPLATES_INVITE", &site.url),
        ("GOTRUE_MAILER_TEMPLATES_CONFIRMATION", &other.url),
        ("GOTRUE_MAILER_TEMPLATES_RECOVERY", &gone.url),
        ("GOTRUE_MAILER_TEMPLATES_MAGIC_LINK", &good.url),
        ("GOTRUE_MAILER_SUBJECTS_EMAIL_CHANGE", "{{ if }}"),
    ]);
    assert_eq!(
        templates.check(start()).await,
        [
            "GOTRUE_MAILER_TEMPLATES_INVITE: line 2: function \"upper\" not defined; our own text is sent instead",
            "the template for confirmation: line 1: error calling index: index of untyped nil: no mail would be sent to a user without metadata",
            "GOTRUE_MAILER_TEMPLATES_RECOVERY: status code 404; our own text is sent instead",
            "GOTRUE_MAILER_SUBJECTS_EMAIL_CHANGE: line 1: missing value for if; our own text is sent instead",
        ]
    );
}
