//! `/admin/custom-providers`, where the recordings do not reach.

use serde_json::{Value, json};
use truegate::error::Code;
use truegate::outside::{Http, Manners};

use crate::support::app::TestApp;
use crate::support::port::Port;

const PATH: &str = "/admin/custom-providers";

fn acme(change: &Value) -> Value {
    let mut provider = json!({
        "provider_type": "oauth2",
        "identifier": "custom:acme",
        "name": "Acme",
        "client_id": "acme-client",
        "client_secret": "acme-secret",
        "authorization_url": "https://203.0.113.7/authorize",
        "token_url": "https://203.0.113.7/token",
        "userinfo_url": "https://203.0.113.7/userinfo",
    });
    for (name, value) in change.as_object().unwrap() {
        provider[name] = value.clone();
    }
    provider
}

#[tokio::test]
async fn what_the_table_would_refuse_is_refused_without_its_row() {
    let app = TestApp::new().await;
    let long = |length: usize| "x".repeat(length);
    let url = |length: usize| format!("https://203.0.113.7/{}", long(length - 20));
    let refused = [
        (json!({"identifier": "custom:"}), "identifier"),
        (json!({"identifier": "custom:Acme"}), "identifier"),
        (json!({"identifier": "custom:a b"}), "identifier"),
        (json!({"identifier": "custom:ä"}), "identifier"),
        (json!({"identifier": "custom:acme-"}), "identifier"),
        (
            json!({"identifier": format!("custom:{}", long(44))}),
            "identifier",
        ),
        (
            json!({"name": long(101)}),
            "name must have at most 100 characters",
        ),
        (
            json!({"client_id": long(513)}),
            "client_id must have at most 512 characters",
        ),
        (
            json!({"token_url": url(2049)}),
            "URL must have at most 2048 characters",
        ),
        (
            json!({"jwks_uri": url(2049)}),
            "URL must have at most 2048 characters",
        ),
        (
            json!({"token_url": "HTTPS://203.0.113.7/token"}),
            "URL must use HTTPS",
        ),
    ];
    for (change, words) in refused {
        let reply = app.admin().post(PATH, acme(&change)).await;
        let message = reply.refused(400, Code::ValidationFailed);
        assert!(message.starts_with(words), "{change}: {message}");
        assert!(!reply.body.contains("acme-secret"), "{}", reply.body);
    }
    assert_eq!(app.admin().get(PATH).await.ok()["providers"], json!([]));
    // As much as just fits.
    let most = acme(&json!({
        "identifier": format!("custom:{}", long(43)), "name": "ä".repeat(100), "client_id": long(512), "token_url": url(2048),
    }));
    app.admin().post(PATH, most).await.ok();
    app.admin().post(PATH, acme(&json!({}))).await.ok();
    for change in [
        json!({"name": long(101)}),
        json!({"client_id": long(513)}),
        json!({"token_url": url(2049)}),
    ] {
        let path = format!("{PATH}/custom:acme");
        app.admin()
            .put(&path, change)
            .await
            .refused(400, Code::ValidationFailed);
    }
}

#[tokio::test]
async fn a_path_that_names_no_provider_is_refused_before_the_body_is_read() {
    let app = TestApp::new().await;
    for (name, code) in [
        ("acme", Code::ValidationFailed),
        ("custom:acme", Code::BadJson),
    ] {
        let path = format!("{PATH}/{name}");
        let reply = app.admin().put(&path, json!({"name": 5})).await;
        reply.refused(400, code);
    }
}

#[tokio::test]
async fn a_secret_is_never_shown() {
    let app = TestApp::new().await;
    let made = app.admin().post(PATH, acme(&json!({}))).await;
    let path = format!("{PATH}/custom:acme");
    let changed = app
        .admin()
        .put(&path, json!({"client_secret": "another-secret"}))
        .await;
    for reply in [
        made,
        changed,
        app.admin().get(&path).await,
        app.admin().get(PATH).await,
    ] {
        reply.ok();
        assert!(!reply.body.contains("secret"), "{}", reply.body);
    }
    let rows = app.database().connect().await;
    let secret = "select client_secret from auth.custom_oauth_providers";
    let plain: String = rows.query_one(secret, &[]).await.unwrap().get(0);
    assert_eq!(plain, "another-secret");
}

#[tokio::test]
async fn of_two_who_change_a_provider_both_are_heard() {
    let app = TestApp::new().await;
    app.admin().post(PATH, acme(&json!({}))).await.ok();
    let path = format!("{PATH}/custom:acme");
    let rows = app.database().connect().await;
    rows.batch_execute("begin; update auth.custom_oauth_providers set name = 'Acme 2'")
        .await
        .unwrap();
    let admin = app.admin();
    let change = tokio::spawn({
        let path = path.clone();
        async move { admin.put(&path, json!({"client_id": "another"})).await }
    });
    // Until the change waits for the row.
    let waiting = "select exists (select from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid)))";
    while !rows
        .query_one(waiting, &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {}
    rows.batch_execute("commit").await.unwrap();
    let changed = change.await.unwrap().ok();
    assert_eq!(
        (&changed["name"], &changed["client_id"]),
        (&json!("Acme 2"), &json!("another"))
    );
}

#[tokio::test]
async fn the_quota_holds_when_many_come_at_once() {
    let app = TestApp::with(|config| config.custom_oauth.max_providers = 2).await;
    let admin = app.admin();
    let attempts =
        (0..6).map(|n| admin.post(PATH, acme(&json!({"identifier": format!("custom:a{n}")}))));
    let replies = futures_util::future::join_all(attempts).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 2);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.refused(400, Code::OverCustomProviderQuota);
    }
    assert_eq!(
        admin.get(PATH).await.ok()["providers"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn of_two_with_one_identifier_one_is_made() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let replies =
        futures_util::future::join_all((0..4).map(|_| admin.post(PATH, acme(&json!({}))))).await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 201).count(),
        1
    );
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.refused(400, Code::Conflict);
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_not_added() {
    let free = Port::free();
    let port = free.port;
    let http = Http::new(Manners {
        private_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Manners::default()
    });
    let app = TestApp::reaching(http, |_| {}).await;
    let issuer = format!("https://127.0.0.1:{port}/acme/");
    let away = app
        .admin()
        .post(
            PATH,
            acme(&json!({"provider_type": "oidc", "issuer": issuer})),
        )
        .await;
    let document = format!("https://127.0.0.1:{port}/acme/.well-known/openid-configuration");
    assert_eq!(
        away.refused(400, Code::ValidationFailed),
        format!(
            "OIDC discovery from \"{document}\" failed: oidc: discovery request to {document} failed: 500: Failed to fetch URL"
        )
    );
    assert_eq!(app.admin().get(PATH).await.ok()["providers"], json!([]));
}
