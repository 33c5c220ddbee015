//! Providers that answer what no provider should: a clear refusal, nothing half-written, nothing left behind.

use std::time::Duration;

use serde_json::{Value, json};
use truegate::outside::{Http, Manners};

use crate::support::app::TestApp;
use crate::support::provider::{
    ACCESS_TOKEN, Answer, Detour, Provider, SECRET, TOKEN, USERINFO, WELCOME, location, parameter,
};
use crate::support::reply::Reply;

/// More than anybody has to say.
const HUGE: usize = 8 << 20;

/// Rows that a sign-in would write.
const WRITTEN: &str = "SELECT (SELECT count(*) FROM auth.users) + (SELECT count(*) FROM auth.identities) \
    + (SELECT count(*) FROM auth.sessions) + (SELECT count(*) FROM auth.refresh_tokens) \
    + (SELECT count(*) FROM auth.one_time_tokens) + (SELECT count(*) FROM auth.audit_log_entries) \
    + (SELECT count(*) FROM truegate.outbox)";

async fn written(app: &TestApp) -> i64 {
    let database = app.database().connect().await;
    database.query_one(WRITTEN, &[]).await.unwrap().get(0)
}

/// Says that the answer is a refusal in GoTrue's form, and that nobody is told our secrets by it.
fn is_a_refusal(what: &str, reply: &Reply) {
    assert!(
        [302, 303].contains(&reply.status.as_u16()),
        "{what}: {reply:?}"
    );
    let target = location(reply);
    assert!(target.as_str().starts_with(WELCOME), "{what}: {target}");
    let told = |name| parameter(target.query(), name);
    assert_eq!(
        told("error").as_deref(),
        Some("server_error"),
        "{what}: {target}"
    );
    assert!(
        told("error_description").is_some_and(|text| text.len() < 200),
        "{what}: {target}"
    );
    let all = format!("{reply:?}");
    for secret in [SECRET, ACCESS_TOKEN, "127.0.0.1"] {
        assert!(!all.contains(secret), "{what}: {all}");
    }
}

/// Whatever any endpoint may answer instead of its document.
fn nonsense() -> Vec<(&'static str, Answer)> {
    let bytes = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
    let json = |text: &[u8]| Answer::ok("application/json", text);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let endless = |more: &str, again: &[u8]| {
        Answer::Endless(format!("{head}{more}").into_bytes(), again.to_vec())
    };
    let zeros = vec![b' '; 1 << 16];
    vec![
        ("nothing", bytes("")),
        ("another protocol", bytes("SSH-2.0-OpenSSH_9.2\r\n")),
        ("half a head", bytes("HTTP/1.1 200 OK\r\ncontent-")),
        ("an empty body", json(b"")),
        ("no content", Answer::http("204 No Content", "", b"")),
        (
            "a page",
            Answer::ok("text/html", b"<!doctype html><title>Sign in</title>"),
        ),
        (
            "a page that calls itself JSON",
            json(b"<!doctype html><title>Sign in</title>"),
        ),
        ("null", json(b"null")),
        ("a list", json(b"[]")),
        ("a text", json(b"\"access_token\"")),
        (
            "a truncated document",
            json(br#"{"access_token": "a-token-of-the-provider", "sub": "an"#),
        ),
        (
            "a body that ends early",
            bytes(&format!(
                "{head}content-length: 1000\r\n\r\n{{\"sub\": \"ann\"}}"
            )),
        ),
        (
            "invalid UTF-8",
            json(b"{\"access_token\": \"\xff\xfe\", \"sub\": \"\xc3\x28\"}"),
        ),
        ("too deep a document", json("[".repeat(100_000).as_bytes())),
        ("a huge document", json(&[b' '; HUGE])),
        ("a body without end", endless("\r\n", &zeros)),
        (
            "chunks without end",
            endless(
                "transfer-encoding: chunked\r\n\r\n",
                &[b"10000\r\n", &zeros[..], b"\r\n"].concat(),
            ),
        ),
        ("headers without end", endless("", b"x-more: and more\r\n")),
        (
            "an unasked encoding",
            Answer::http(
                "200 OK",
                "content-type: application/json\r\ncontent-encoding: gzip\r\n",
                BOMB,
            ),
        ),
        (
            "an error page",
            Answer::http(
                "500 Internal Server Error",
                "content-type: text/html\r\n",
                b"<h1>Oops</h1>",
            ),
        ),
        (
            "an error that quotes us",
            Answer::http(
                "400 Bad Request",
                "content-type: application/json\r\n",
                json!({"error": SECRET, "error_description": SECRET})
                    .to_string()
                    .as_bytes(),
            ),
        ),
        (
            "an impossible status",
            bytes("HTTP/1.1 99999 What\r\ncontent-length: 0\r\n\r\n"),
        ),
    ]
}

/// The beginning of a gzip stream that would become very long.
const BOMB: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xec\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7\x4f\x6d\x0e\x37\xa0";

/// What a token endpoint may say that is no token.
fn no_tokens() -> Vec<(&'static str, Answer)> {
    let tokens = [
        ("no token", json!({"token_type": "Bearer"})),
        ("an empty token", json!({"access_token": ""})),
        ("a number for a token", json!({"access_token": 5})),
        ("a list of tokens", json!({"access_token": ["a"]})),
        (
            "a token that breaks the line",
            json!({"access_token": "a\r\nx-injected: 1"}),
        ),
        ("an error of 200", json!({"error": "invalid_grant"})),
    ];
    tokens
        .map(|(what, document)| (what, Answer::json(&document)))
        .into()
}

/// What a userinfo endpoint may say that is nobody.
fn nobodies() -> Vec<(&'static str, Answer)> {
    let with = |name: &str, value: Value| {
        let mut person = json!({"sub": "ann", "email": "ann@example.com", "email_verified": true});
        person[name] = value;
        Answer::json(&person)
    };
    vec![
        ("a number for a subject", with("sub", json!(5))),
        (
            "an address in a list",
            with("email", json!(["ann@example.com", "bob@example.com"])),
        ),
        (
            "an address in an object",
            with("email", json!({"address": "ann@example.com"})),
        ),
    ]
}

#[tokio::test]
async fn whatever_an_endpoint_answers_it_is_a_refusal_and_nothing_is_written() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let of = |endpoint, answers: Vec<(&'static str, Answer)>| {
        answers
            .into_iter()
            .map(move |(what, answer)| (endpoint, what, answer))
    };
    let all = of(TOKEN, nonsense())
        .chain(of(TOKEN, no_tokens()))
        .chain(of(USERINFO, nonsense()))
        .chain(of(USERINFO, nobodies()));
    for (endpoint, what, answer) in all {
        provider.gives_tokens();
        provider.answers(endpoint, answer);
        let what = format!("{endpoint}: {what}");
        is_a_refusal(&what, &Detour::make(&app).await);
        assert_eq!(written(&app).await, 0, "{what}");
        provider.is_alone().await;
    }
    // And then it comes to its senses.
    provider.gives_tokens();
    provider.is_signed_in("ann", "ann@example.com", true);
    app.came_back(&Detour::make(&app).await);
}

#[tokio::test]
async fn no_redirect_of_an_endpoint_is_followed() {
    let provider = Provider::start().await;
    let elsewhere = Provider::start().await;
    let app = provider.app().await;
    for endpoint in [TOKEN, USERINFO] {
        for (status, target) in [
            ("302 Found", elsewhere.url(endpoint)),
            ("307 Temporary Redirect", elsewhere.url(endpoint)),
            ("301 Moved Permanently", provider.url(endpoint)),
        ] {
            provider.gives_tokens();
            let headers = format!("location: {target}\r\n");
            provider.answers(endpoint, Answer::http(status, &headers, b""));
            let before = provider.times_asked();
            let what = format!("{endpoint}: {status} to {target}");
            is_a_refusal(&what, &Detour::make(&app).await);
            // Twice for a client that is unknown by a header: some read the body alone.
            let asked = provider.times_asked() - before;
            assert!(asked <= 2, "{what}: asked {asked} times");
            assert_eq!(written(&app).await, 0, "{what}");
        }
    }
    assert_eq!(elsewhere.times_asked(), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_refusal() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let detour = Detour::begin(&app, "").await;
    drop(provider);
    is_a_refusal("away", &detour.end(&app).await);
    assert_eq!(written(&app).await, 0);
}

#[tokio::test]
async fn a_provider_that_never_ends_its_answer_is_given_up() {
    let provider = Provider::start().await;
    let http = Http::new(Manners {
        timeout: Duration::from_millis(200),
        ..Manners::default()
    });
    let app = TestApp::reaching(http, |config| provider.configure(config)).await;
    for endpoint in [TOKEN, USERINFO] {
        // Before it has begun, in the head, and in the body.
        for said in [0, 10, 110] {
            provider.gives_tokens();
            provider.is_signed_in("ann", "ann@example.com", true);
            provider.falls_silent_after(said, endpoint);
            let what = format!("{endpoint} after {said} bytes");
            is_a_refusal(&what, &Detour::make(&app).await);
            assert_eq!(written(&app).await, 0, "{what}");
            provider.is_alone().await;
        }
    }
}
