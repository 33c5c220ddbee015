//! A real SMTP client sends; the inbox shows, as Mailpit would.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox as Person, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;
use truegate::clock::SystemClock;
use truegate::dev::mailbox::Mailbox;
use truegate::dev::{inbox, smtp_sink};

async fn ask(mailbox: &Arc<Mailbox>, path: &str) -> Value {
    let request = Request::get(path)
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let answer = inbox::router(mailbox.clone())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn what_a_mail_client_sends_is_found_by_its_reader() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mailbox = Arc::new(Mailbox::new(Arc::new(SystemClock)));
    let sink = tokio::spawn(smtp_sink::run(listener, mailbox.clone()));

    let relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .credentials(Credentials::new("anybody".into(), "anything".into()))
        .build();
    let write = |to: &str| {
        let to: Person = format!("Zoë <{to}>").parse().unwrap();
        Message::builder()
            .from("Trüegate <noreply@example.com>".parse().unwrap())
            .to(to)
            .subject("Grüße, Zoë")
    };
    let parts = MultiPart::alternative_plain_html(
        ".\r\n..\r\nÖffne http://localhost:9999/verify?token=abc&type=signup oder tippe 123456\r\n"
            .to_owned(),
        format!(
            "<p>Öffne <a href=\"http://localhost:9999/verify?token=abc&amp;type=signup\">hier</a></p>{}",
            "é".repeat(5000)
        ),
    );
    relay
        .send(write("zoe+1@example.com").multipart(parts).unwrap())
        .await
        .unwrap();
    // On the same connection again, in HTML alone.
    let html = "<b>Tap</b> <a href='http://localhost:9999/verify?token=def'>here</a>".to_owned();
    relay
        .send(
            write("zoe+2@example.com")
                .header(ContentType::TEXT_HTML)
                .body(html)
                .unwrap(),
        )
        .await
        .unwrap();

    assert_eq!(ask(&mailbox, "/api/v1/messages").await["total"], 2);
    let found = ask(&mailbox, "/api/v1/search?query=to:zoe%2B1@example.com").await;
    assert_eq!(found["messages_count"], 1);
    let mail = ask(
        &mailbox,
        &format!(
            "/api/v1/message/{}",
            found["messages"][0]["ID"].as_str().unwrap()
        ),
    )
    .await;
    assert_eq!(mail["Subject"], "Grüße, Zoë");
    assert_eq!(mail["From"]["Name"], "Trüegate");
    assert_eq!(mail["To"][0]["Address"], "zoe+1@example.com");
    assert_eq!(
        mail["Text"],
        ".\r\n..\r\nÖffne http://localhost:9999/verify?token=abc&type=signup oder tippe 123456\r\n"
    );
    assert!(mail["HTML"].as_str().unwrap().ends_with("éé"));
    assert_eq!(
        mail["Link"],
        "http://localhost:9999/verify?token=abc&type=signup"
    );
    assert_eq!(mail["Code"], "123456");

    let newest = ask(&mailbox, "/api/v1/message/latest").await;
    assert_eq!(
        newest["Text"],
        "Tap here ( http://localhost:9999/verify?token=def )"
    );
    sink.abort();
}
