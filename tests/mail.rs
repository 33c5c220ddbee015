//! Mails on their way: from an act through the outbox to a relay that takes them, refuses them, or is away.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use chrono::TimeDelta;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use truegate::app::App;
use truegate::clock::Clock;
use truegate::config::Config;
use truegate::faces::gotrue;
use truegate::models::outbox::Waiting;
use truegate::server::{self, Settings};
use truegate::workers::outbox;

use crate::support::clock::TestClock;
use crate::support::database::Database;

mod relay;

use relay::{Mood, Relay};

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/ca.pem");

/// A server whose mails go to a relay.
struct House {
    relay: Relay,
    clock: Arc<TestClock>,
    app: App,
    database: Database,
}

impl House {
    async fn new(mood: Mood) -> Self {
        Self::with(mood, &[]).await
    }

    async fn with(mood: Mood, settings: &[(&str, &str)]) -> Self {
        let (relay, database, clock) = (
            Relay::start(mood).await,
            Database::new().await,
            Arc::new(TestClock::new()),
        );
        let app = app(&database, &relay, &clock, settings);
        Self {
            relay,
            clock,
            app,
            database,
        }
    }

    async fn sign_up(&self, email: &str) -> (StatusCode, Value) {
        let body = json!({"email": email, "password": "correct-horse-1"}).to_string();
        let mut request = Request::post("/signup")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        request
            .extensions_mut()
            .insert(ConnectInfo(std::net::SocketAddr::from((
                [127, 0, 0, 1],
                50_000,
            ))));
        let service = server::stack(
            &Settings::new(&self.app.config),
            gotrue::router(self.app.clone()),
        );
        let Ok(response) = service.oneshot(request).await;
        let (head, body) = response.into_parts();
        (
            head.status,
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap(),
        )
    }

    async fn deliver(&self) -> usize {
        self.app.mailer.deliver_due(&self.app).await.unwrap()
    }

    async fn waiting(&self) -> Vec<Waiting> {
        Waiting::all(&mut self.app.db.get().await.unwrap())
            .await
            .unwrap()
    }

    async fn only_waiting(&self) -> Waiting {
        let mut waiting = self.waiting().await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting.remove(0)
    }
}

fn app(
    database: &Database,
    relay: &Relay,
    clock: &Arc<TestClock>,
    settings: &[(&str, &str)],
) -> App {
    let port = relay.port.to_string();
    let mut environment: HashMap<String, String> = [
        ("DATABASE_URL", database.url.as_str()),
        ("GOTRUE_DB_MAX_POOL_SIZE", "4"),
        ("TRUEGATE_DB_WAIT", "1m"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-tests-with-more-than-32-characters",
        ),
        ("GOTRUE_SMTP_HOST", "localhost"),
        ("GOTRUE_SMTP_PORT", &port),
        ("GOTRUE_SMTP_ADMIN_EMAIL", "noreply@example.com"),
        ("GOTRUE_SMTP_SENDER_NAME", "Example App"),
        ("GOTRUE_RATE_LIMIT_EMAIL_SENT", "1000000"),
        ("TRUEGATE_ARGON2_MEMORY_KIB", "8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    environment.extend(
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let config = Config::from_pairs(environment).unwrap();
    App::build(config, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

#[tokio::test]
async fn a_mail_goes_out_after_the_commit_and_is_forgotten() {
    let house = House::new(Mood::Takes).await;
    assert_eq!(house.sign_up("ann@example.com").await.0, 200);
    assert!(house.relay.taken().is_empty());
    assert_eq!(house.only_waiting().await.attempts, 0);

    assert_eq!(house.deliver().await, 1);
    let taken = house.relay.taken();
    assert_eq!(
        (taken.len(), taken[0].from.as_str(), &taken[0].to),
        (
            1,
            "noreply@example.com",
            &vec!["ann@example.com".to_owned()]
        )
    );
    assert_eq!(
        (taken[0].hello.as_str(), taken[0].encrypted, &taken[0].auth),
        ("auth.example.com", false, &None)
    );
    let data = taken[0].data.as_str();
    assert!(
        data.contains("From: \"Example App\" <noreply@example.com>\r\nTo: ann@example.com\r\n"),
        "{data}"
    );
    assert!(house.waiting().await.is_empty());
    assert_eq!(house.deliver().await, 0);
}

#[tokio::test]
async fn nothing_is_sent_for_what_was_refused_and_nothing_queued_without_a_relay() {
    let house = House::with(Mood::Takes, &[("GOTRUE_DISABLE_SIGNUP", "true")]).await;
    assert_eq!(house.sign_up("ann@example.com").await.0, 422);
    assert!(house.waiting().await.is_empty());

    let house = House::with(Mood::Takes, &[("GOTRUE_SMTP_HOST", "")]).await;
    assert_eq!(house.sign_up("ann@example.com").await.0, 200);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn one_connection_carries_one_mail_after_the_other() {
    let house = House::new(Mood::Takes).await;
    for n in 0..3 {
        house.sign_up(&format!("user{n}@example.com")).await;
        assert_eq!(house.deliver().await, 1);
    }
    assert_eq!(
        (house.relay.taken().len(), house.relay.connections()),
        (3, 1)
    );
}

#[tokio::test]
async fn no_answer_waits_for_a_silent_relay() {
    let house = House::new(Mood::Silent).await;
    let worker = tokio::spawn(outbox::run(house.app.clone(), CancellationToken::new()));
    assert_eq!(house.sign_up("ann@example.com").await.0, 200);
    assert_eq!(house.sign_up("ben@example.com").await.0, 200);
    assert_eq!(house.waiting().await.len(), 2);
    worker.abort();
}

#[tokio::test]
async fn the_worker_sends_at_once_and_what_is_left_before_it_ends() {
    let house = House::new(Mood::Takes).await;
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(outbox::run(house.app.clone(), shutdown.clone()));
    house.sign_up("ann@example.com").await;
    house.relay.took().await;
    house.sign_up("ben@example.com").await;
    shutdown.cancel();
    worker.await.unwrap();
    assert_eq!(house.relay.taken().len(), 2);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_relay_that_was_away_gets_its_mails_when_it_is_back() {
    let house = House::new(Mood::Busy).await;
    house.sign_up("ann@example.com").await;
    for (attempts, pause) in [(1, 10), (2, 30), (3, 90)] {
        assert_eq!(house.deliver().await, 0);
        let mail = house.only_waiting().await;
        assert_eq!((mail.attempts, mail.given_up_at), (attempts, None));
        assert!(mail.last_error.unwrap().contains("421"));
        // Not before it is due.
        house.clock.advance(TimeDelta::seconds(pause - 1));
        assert_eq!(house.deliver().await, 0);
        assert_eq!(house.only_waiting().await.attempts, attempts);
        house.clock.advance(TimeDelta::seconds(2));
    }
    house.relay.feels(Mood::Takes);
    assert_eq!(house.deliver().await, 1);
    assert!(house.waiting().await.is_empty());
}

#[tokio::test]
async fn a_mail_is_given_up_after_so_many_attempts_and_cannot_be_read_any_more() {
    let house = House::with(Mood::HangsUp, &[("TRUEGATE_MAIL_MAX_ATTEMPTS", "2")]).await;
    house.sign_up("ann@example.com").await;
    house.deliver().await;
    assert_eq!(house.only_waiting().await.given_up_at, None);
    house.clock.advance(TimeDelta::minutes(1));
    house.deliver().await;
    let mail = house.only_waiting().await;
    assert_eq!(mail.attempts, 2);
    assert!(mail.given_up_at.is_some());
    let sql = "select concat(subject, html, plain) from truegate.outbox";
    let content = house
        .database
        .connect()
        .await
        .query_one(sql, &[])
        .await
        .unwrap();
    assert_eq!(content.get::<_, String>(0), "");
    house.clock.advance(TimeDelta::days(1));
    house.relay.feels(Mood::Takes);
    assert_eq!(house.deliver().await, 0);
}

#[tokio::test]
async fn a_refusal_of_the_recipient_or_the_content_is_final_others_are_not() {
    let moods = [
        (Mood::RefusesRecipient("550 5.1.1 no such mailbox"), true),
        (Mood::RefusesRecipient("450 4.2.1 come back"), false),
        (Mood::RefusesRecipient("530 5.7.0 sign in first"), false),
        (Mood::RefusesContent("554 5.7.1 spam"), true),
        (Mood::RefusesContent("451 4.3.0 full"), false),
    ];
    for (mood, is_final) in moods {
        let house = House::new(mood).await;
        house.sign_up("ann@example.com").await;
        house.deliver().await;
        let mail = house.only_waiting().await;
        assert_eq!(
            (mail.given_up_at.is_some(), mail.attempts),
            (is_final, 1),
            "{mood:?}: {mail:?}"
        );
    }
}

#[tokio::test]
async fn codes_that_have_expired_are_not_sent() {
    let house = House::with(Mood::Busy, &[("GOTRUE_MAILER_OTP_EXP", "300")]).await;
    house.sign_up("ann@example.com").await;
    house.deliver().await;
    house.relay.feels(Mood::Takes);
    house.clock.advance(TimeDelta::minutes(6));
    assert_eq!(house.deliver().await, 0);
    assert_eq!(
        house.only_waiting().await.last_error.unwrap(),
        "its code has expired meanwhile"
    );
    assert!(house.relay.taken().is_empty());
}

#[tokio::test]
async fn replicas_share_the_mails_and_send_each_once() {
    let house = House::new(Mood::Takes).await;
    let other = app(&house.database, &house.relay, &house.clock, &[]);
    for n in 0..12 {
        house.sign_up(&format!("user{n}@example.com")).await;
    }
    let (ours, theirs) = tokio::join!(
        house.app.mailer.deliver_due(&house.app),
        other.mailer.deliver_due(&other)
    );
    assert_eq!(ours.unwrap() + theirs.unwrap(), 12);
    let mut recipients: Vec<_> = house
        .relay
        .taken()
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    recipients.sort();
    recipients.dedup();
    assert_eq!((recipients.len(), house.relay.taken().len()), (12, 12));
}

#[tokio::test]
async fn the_mail_of_a_dead_replica_is_anothers_after_its_lease() {
    let house = House::new(Mood::Silent).await;
    house.sign_up("ann@example.com").await;
    let app = house.app.clone();
    let dying = tokio::spawn(async move { app.mailer.deliver_due(&app).await });
    while house.relay.connections() == 0 {
        tokio::task::yield_now().await;
    }
    dying.abort();
    house.relay.feels(Mood::Takes);
    house.clock.advance(TimeDelta::minutes(9));
    assert_eq!(house.deliver().await, 0);
    house.clock.advance(TimeDelta::minutes(2));
    assert_eq!(house.deliver().await, 1);
}

#[tokio::test]
async fn where_told_the_answer_waits_for_the_relay_and_tells_its_failure() {
    let house = House::with(Mood::Takes, &[("TRUEGATE_MAIL_WAIT", "true")]).await;
    assert_eq!(house.sign_up("ann@example.com").await.0, 200);
    assert_eq!(house.relay.taken().len(), 1);

    house
        .relay
        .feels(Mood::RefusesRecipient("450 4.2.1 come back"));
    let (status, body) = house.sign_up("ben@example.com").await;
    assert_eq!(
        (status.as_u16(), &body["msg"]),
        (500, &json!("Error sending confirmation email")),
        "{body}"
    );
    // Tried again all the same.
    house.relay.feels(Mood::Takes);
    house.clock.advance(TimeDelta::minutes(1));
    assert_eq!(house.deliver().await, 1);
}

#[tokio::test]
async fn starttls_is_used_and_the_password_said_only_behind_it() {
    let settings = [
        ("TRUEGATE_SMTP_CA_FILE", CA),
        ("GOTRUE_SMTP_USER", "me"),
        ("GOTRUE_SMTP_PASS", "pass"),
    ];
    let house = House::with(Mood::Takes, &settings).await;
    house.sign_up("ann@example.com").await;
    assert_eq!(house.deliver().await, 1);
    let taken = house.relay.taken();
    assert_eq!(
        (taken[0].encrypted, taken[0].auth.as_deref()),
        (true, Some("PLAIN AG1lAHBhc3M="))
    );
}

#[tokio::test]
async fn a_relay_with_a_strangers_certificate_gets_nothing() {
    // Its certificate is for localhost only.
    let house = House::with(
        Mood::Takes,
        &[
            ("TRUEGATE_SMTP_CA_FILE", CA),
            ("GOTRUE_SMTP_HOST", "127.0.0.1"),
        ],
    )
    .await;
    house.sign_up("ann@example.com").await;
    assert_eq!(house.deliver().await, 0);
    let reason = house.only_waiting().await.last_error.unwrap();
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_relay_on_this_machine_needs_no_tls() {
    let house = House::with(
        Mood::Plain,
        &[("GOTRUE_SMTP_USER", "me"), ("GOTRUE_SMTP_PASS", "pass")],
    )
    .await;
    house.sign_up("ann@example.com").await;
    assert_eq!(house.deliver().await, 1);
    let taken = house.relay.taken();
    assert_eq!(
        (taken[0].encrypted, taken[0].auth.as_deref()),
        (false, Some("PLAIN AG1lAHBhc3M="))
    );
}

#[tokio::test]
async fn operators_list_retry_and_drop() {
    let house = House::new(Mood::Busy).await;
    house.sign_up("ann@example.com").await;
    house.sign_up("ben@example.com").await;
    house.deliver().await;
    let mut conn = house.app.db.get().await.unwrap();
    let mails = Waiting::all(&mut conn).await.unwrap();
    assert_eq!(
        mails
            .iter()
            .map(|mail| mail.recipient.as_str())
            .collect::<Vec<_>>(),
        ["ann@example.com", "ben@example.com"]
    );
    assert_eq!(
        Waiting::drop(&mut conn, Some(mails[0].id)).await.unwrap(),
        1
    );
    assert_eq!(Waiting::drop(&mut conn, None).await.unwrap(), 0);

    house
        .relay
        .feels(Mood::RefusesRecipient("550 5.1.1 no such mailbox"));
    assert_eq!(
        Waiting::retry(&mut conn, None, house.clock.now())
            .await
            .unwrap(),
        1
    );
    house.deliver().await;
    assert_eq!(
        Waiting::retry(&mut conn, None, house.clock.now())
            .await
            .unwrap(),
        0
    );
    assert_eq!(Waiting::drop(&mut conn, None).await.unwrap(), 1);
    assert!(house.waiting().await.is_empty());
}
