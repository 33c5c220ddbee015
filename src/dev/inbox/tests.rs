use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::clock::SystemClock;
use crate::dev::mail::Envelope;

fn mailbox() -> Arc<Mailbox> {
    let mailbox = Mailbox::new(Arc::new(SystemClock));
    let to = |address: &str| Envelope {
        from: "noreply@example.com".into(),
        to: vec![address.into()],
    };
    mailbox.put(
        &to("alice@example.com"),
        b"To: alice@example.com\r\nSubject: One\r\nX-Two: a\r\nX-Two: b\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><a href=\"http://h/verify?token=1\">x</a>"
            .to_vec(),
    );
    mailbox.put(
        &to("bob@example.com"),
        b"To: bob@example.com\r\nSubject: Two\r\n\r\n654321".to_vec(),
    );
    Arc::new(mailbox)
}

async fn send(
    mailbox: &Arc<Mailbox>,
    request: http::request::Builder,
    body: &str,
) -> (StatusCode, http::HeaderMap, String) {
    let request = if request
        .headers_ref()
        .is_some_and(|headers| headers.contains_key("host"))
    {
        request
    } else {
        request.header("host", "localhost:8025")
    };
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (head, body) = router(mailbox.clone())
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

async fn get_json(mailbox: &Arc<Mailbox>, path: &str) -> Value {
    let (status, _, body) = send(mailbox, Request::get(path), "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn lists_searches_and_shows_as_mailpit() {
    let mailbox = mailbox();
    let mut list = get_json(&mailbox, "/api/v1/messages").await;
    let messages = list["messages"].take();
    assert_eq!(
        list,
        json!({ "total": 2, "unread": 2, "count": 2, "messages_count": 2, "messages_unread": 2, "start": 0, "tags": [], "messages": null })
    );
    assert_eq!(messages[0]["Subject"], "Two");
    assert_eq!(messages[0]["Code"], "654321");

    let found = get_json(
        &mailbox,
        "/api/v1/search?query=to:alice@example.com&limit=1",
    )
    .await;
    assert_eq!(
        (&found["total"], &found["messages_count"]),
        (&json!(2), &json!(1))
    );
    let mut one = found["messages"][0].clone();
    let id = one["ID"].take();
    assert!(one["Created"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        one,
        json!({
            "ID": null, "MessageID": "", "Read": false, "From": { "Name": "", "Address": "noreply@example.com" },
            "To": [{ "Name": "", "Address": "alice@example.com" }], "Cc": [], "Bcc": [], "ReplyTo": [], "Subject": "One",
            "Created": null, "Username": "", "Tags": [], "Size": 148, "Attachments": 0, "Snippet": "x ( http://h/verify?token=1 )",
            "Link": "http://h/verify?token=1", "Code": null,
        })
    );

    let id = id.as_str().unwrap();
    let full = get_json(&mailbox, &format!("/api/v1/message/{id}")).await;
    assert_eq!(full["Text"], "x ( http://h/verify?token=1 )");
    assert!(full["HTML"].as_str().unwrap().starts_with("<script>"));
    assert_eq!(
        get_json(&mailbox, &format!("/api/v1/message/{id}/headers")).await["X-Two"],
        json!(["a", "b"])
    );
    assert_eq!(
        get_json(&mailbox, "/api/v1/message/latest").await["Subject"],
        "Two"
    );
    assert_eq!(
        get_json(&mailbox, "/api/v1/search?query=is:unread").await["messages_count"],
        0
    );
    assert_eq!(
        get_json(&mailbox, "/api/v1/messages?start=1").await["messages"][0]["Read"],
        true
    );

    for (path, status) in [
        ("/api/v1/message/none", 404),
        ("/view/none.html", 404),
        ("/api/v1/search", 400),
        ("/api/v1/search?limit=x", 400),
    ] {
        assert_eq!(
            send(&mailbox, Request::get(path), "").await.0,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn deletes_what_is_named_or_all() {
    let mailbox = mailbox();
    let id = mailbox.find("latest").unwrap().mail.head.id.clone();
    assert_eq!(
        send(&mailbox, Request::delete("/api/v1/messages"), "{")
            .await
            .0,
        400
    );
    assert_eq!(
        send(
            &mailbox,
            Request::delete("/api/v1/messages"),
            &json!({ "IDs": [id] }).to_string()
        )
        .await
        .0,
        200
    );
    assert_eq!(mailbox.all().len(), 1);
    assert_eq!(
        send(&mailbox, Request::delete("/api/v1/search?query=to:bob"), "")
            .await
            .0,
        200
    );
    assert_eq!(mailbox.all().len(), 1);
    assert_eq!(
        send(&mailbox, Request::delete("/api/v1/messages"), "")
            .await
            .2,
        "ok"
    );
    assert!(mailbox.all().is_empty());
}

#[tokio::test]
async fn a_mail_can_do_nothing_to_the_reader() {
    let mailbox = mailbox();
    let (status, headers, body) = send(
        &mailbox,
        Request::get(format!("/view/{}.html", mailbox.all()[1].mail.head.id)),
        "",
    )
    .await;
    assert_eq!(status, 200);
    assert!(body.contains("<script>"), "shown as it came: {body}");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("sandbox ")
            && !policy.contains("allow-scripts")
            && !policy.contains("allow-same-origin"),
        "{policy}"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");

    let (_, headers, page) = send(&mailbox, Request::get("/"), "").await;
    assert_eq!(headers["content-security-policy"], PAGE_POLICY);
    assert!(
        !page.contains("=\"http") && !page.contains("=\"//"),
        "no outside assets"
    );
}

#[tokio::test]
async fn other_sites_are_kept_out() {
    let mailbox = mailbox();
    for host in [
        "evil.example",
        "evil.example:8025",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "10.0.0.1",
    ] {
        let (status, ..) = send(
            &mailbox,
            Request::get("/api/v1/messages").header("host", host),
            "",
        )
        .await;
        assert_eq!(status, 421, "{host}");
    }
    for host in ["127.0.0.1:8025", "[::1]:8025", "LOCALHOST", "app.localhost"] {
        let (status, ..) = send(
            &mailbox,
            Request::get("/api/v1/messages").header("host", host.to_lowercase()),
            "",
        )
        .await;
        assert_eq!(status, 200, "{host}");
    }
    let allowed = async |origin: &str| {
        let (_, headers, _) = send(
            &mailbox,
            Request::options("/api/v1/messages").header("origin", origin),
            "",
        )
        .await;
        headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(allowed("https://evil.example").await, None);
    assert_eq!(
        allowed("http://localhost:3000").await.unwrap(),
        "http://localhost:3000"
    );
}

#[tokio::test]
async fn tells_of_each_change() {
    let mailbox = mailbox();
    let request = Request::get("/events")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let mut events = router(mailbox.clone())
        .oneshot(request)
        .await
        .unwrap()
        .into_body();
    mailbox.put(&Envelope::default(), Vec::new());
    let event = events.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(event, "event: change\ndata: 3\n\n");
}

#[tokio::test]
async fn text_messages_lie_among_the_mails() {
    let mailbox = mailbox();
    let posted = r#"{"phone":"+15551234567","message":"Your code is 987654","code":"987654"}"#;
    let (status, ..) = send(&mailbox, Request::post("/sms"), posted).await;
    assert_eq!(status, 200);
    let found = get_json(&mailbox, "/api/v1/search?query=to:%2B15551234567").await;
    let message = &found["messages"][0];
    assert_eq!(message["Subject"], "Text message");
    assert_eq!(message["Code"], "987654");
    assert_eq!(message["Snippet"], "Your code is 987654");
    let latest = get_json(&mailbox, "/api/v1/message/latest").await;
    assert_eq!(latest["Text"], "Your code is 987654");
    assert_eq!(latest["HTML"], "");

    // A page cannot put words into the inbox.
    let page = Request::post("/sms").header("origin", "http://localhost:3000");
    assert_eq!(send(&mailbox, page, posted).await.0, 403);
    assert_eq!(send(&mailbox, Request::post("/sms"), "{}").await.0, 400);
    assert_eq!(mailbox.all().len(), 3);
}
