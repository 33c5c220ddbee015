//! Encryption at rest: what GoTrue sealed is read, what is written is sealed, and where a key is missing nobody is told
//! that it was their fault.

use std::collections::HashMap;

use serde_json::json;
use truegate::error::Code;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Database;
use crate::support::reply::Reply;

const KEY_1: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
const KEY_2: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The environment of a server with these keys, of which the last seals if `seal`.
fn environment(keys: &[(&str, &str)], seal: bool) -> HashMap<String, String> {
    let list: Vec<String> = keys.iter().map(|(id, key)| format!("{id}:{key}")).collect();
    let mut pairs = vec![
        ("API_EXTERNAL_URL", "https://auth.example.com".to_owned()),
        ("GOTRUE_SITE_URL", "https://app.example.com".to_owned()),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-tests-with-more-than-32-characters".to_owned(),
        ),
        ("GOTRUE_JWT_AUD", "authenticated".to_owned()),
        ("GOTRUE_MAILER_AUTOCONFIRM", "true".to_owned()),
        ("GOTRUE_SMTP_ADMIN_EMAIL", "noreply@example.com".to_owned()),
        (
            "GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION",
            "2".to_owned(),
        ),
        (
            "GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS",
            list.join(","),
        ),
    ];
    if let (true, Some((id, key))) = (seal, keys.last()) {
        pairs.extend([
            ("GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPT", "true".to_owned()),
            (
                "GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID",
                (*id).to_owned(),
            ),
            (
                "GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY",
                (*key).to_owned(),
            ),
        ]);
    }
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

async fn server(database: &Database, keys: &[(&str, &str)], seal: bool) -> TestApp {
    TestApp::on(database, environment(keys, seal))
        .await
        .unwrap()
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Reply {
    let credentials = json!({"email": email, "password": password});
    app.visitor()
        .post("/token?grant_type=password", credentials)
        .await
}

async fn refresh(app: &TestApp, token: &str) -> Reply {
    let token = json!({"refresh_token": token});
    app.visitor()
        .post("/token?grant_type=refresh_token", token)
        .await
}

/// Which keys the passwords and the sessions' keys are sealed with; `plain` are those that are not.
async fn seals(database: &Database) -> (String, String) {
    let key = |column: &str, table: &str| {
        let plain =
            format!("case when {column} ^@ '{{' then {column}::json->>'key_id' else 'plain' end");
        format!("(select string_agg({plain}, ',' order by created_at) from auth.{table})")
    };
    let columns = [
        key("encrypted_password", "users"),
        key("refresh_token_hmac_key", "sessions"),
    ];
    let rows = database.connect().await;
    let row = rows
        .query_one(&format!("select {}", columns.join(",")), &[])
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn keys_come_and_go_and_nobody_is_signed_out() {
    let database = Database::new().await;
    let token = |reply: &Reply| reply.ok()["refresh_token"].as_str().unwrap().to_owned();
    let (first, second) = (("key-1", KEY_1), ("key-2", KEY_2));
    let seals = || seals(&database);
    let is = |passwords: &str, keys: &str| (passwords.to_owned(), keys.to_owned());

    let app = server(&database, &[], false).await;
    let ann = json!({"email": "ann@example.com", "password": PASSWORD});
    let mut one = token(&app.visitor().post("/signup", ann).await);
    assert_eq!(seals().await, is("plain", "plain"));

    let app = server(&database, &[first], true).await;
    one = token(&refresh(&app, &one).await);
    assert_eq!(seals().await, is("plain", "key-1"), "an old session");
    let mut two = token(&sign_in(&app, "ann@example.com", PASSWORD).await);
    assert_eq!(seals().await, is("key-1", "key-1,key-1"));

    let app = server(&database, &[first, second], true).await;
    two = token(&refresh(&app, &two).await);
    assert_eq!(seals().await, is("key-1", "key-1,key-2"));
    sign_in(&app, "ann@example.com", PASSWORD).await.ok();
    assert_eq!(seals().await, is("key-2", "key-1,key-2,key-2"));

    // The operator forgot a key: that is a failure, and tells no client to throw its session away.
    let app = server(&database, &[second], true).await;
    let forgotten = refresh(&app, &one).await;
    forgotten.refused(500, Code::UnexpectedFailure);
    refresh(&app, &two).await.ok();
    let app = server(&database, &[], false).await;
    sign_in(&app, "ann@example.com", PASSWORD)
        .await
        .refused(500, Code::UnexpectedFailure);

    // Sealing is over; what is sealed is read, and a new password is plain.
    let app = server(&database, &[first, second], false).await;
    refresh(&app, &one).await.ok();
    sign_in(&app, "ann@example.com", "wrong-password")
        .await
        .refused(400, Code::InvalidCredentials);
    let ann = app.granted(&sign_in(&app, "ann@example.com", PASSWORD).await.ok());
    assert_eq!(seals().await, is("key-2", "key-1,key-2,key-2,plain"));
    let same = ann.put("/user", json!({"password": PASSWORD})).await;
    same.refused(422, Code::SamePassword);
    ann.put("/user", json!({"password": "another-horse-2"}))
        .await
        .ok();
    assert_eq!(seals().await.0, "plain");
}

/// Rows that GoTrue v2.196 wrote.
const BY_GOTRUE: &str = r#"
    insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, created_at, updated_at) values
        ('00000000-0000-0000-0000-000000000000', 'b86fbdb8-0e36-4686-95f8-e072d1c67b02', 'authenticated', 'authenticated', 'reader@takeover.example',
        '{"key_id":"k1","alg":"aes-gcm-hkdf","data":"mIk7HPWgPVy9NcbKWnI5qgA5UU6dN1ypq9l3mFEaGcMHeJxh3U30FSpPBQkHeye/yXoYmO8f45s49qDgbmV9TcqGKsZUaY71eM1HAw==","nonce":"5riAizp68ubjuLi+"}',
        now(), now(), now());
    insert into auth.sessions (id, user_id, created_at, updated_at, aal, refresh_token_hmac_key, refresh_token_counter) values
        ('aa3fbe3a-e13d-45c7-8337-a1c21b1e53a5', 'b86fbdb8-0e36-4686-95f8-e072d1c67b02', now(), now(), 'aal1', '{"key_id":"k1","alg":"aes-gcm-hkdf","data":"/GIR0z8JRCgXABuvhlelxe25wTBsiwFFDPVLkHnusbOEIg2NtUlZEJGHwJNteieuoO6fzC8EtEHiRWA=","nonce":"OjM46LUsYcALjs7X"}', 0);
"#;

#[tokio::test]
async fn what_gotrue_sealed_signs_in_and_goes_on() {
    let database = Database::new().await;
    let rows = database.connect().await;
    rows.batch_execute(BY_GOTRUE).await.unwrap();
    let app = server(&database, &[("k1", KEY_2)], true).await;
    refresh(&app, "AKo_vjrhPUXHgzehwhseU6UAi__A2_AcF6uMwaum8rHY42k-efU")
        .await
        .ok();
    sign_in(&app, "reader@takeover.example", "pass-reader-A1!")
        .await
        .ok();
    assert_eq!(seals(&database).await, ("k1".into(), "k1,k1".into()));
}

#[tokio::test]
async fn accounts_are_made_with_plain_hashes_and_changed_to_sealed_ones() {
    let database = Database::new().await;
    let app = server(&database, &[("key-1", KEY_1)], true).await;
    let new = json!({"email": "ann@example.com", "password": PASSWORD, "email_confirm": true});
    let ann = app.admin().post("/admin/users", new).await.ok();
    app.admin()
        .post("/invite", json!({"email": "bob@example.com"}))
        .await
        .ok();
    let rows = database.connect().await;
    let passwords = async || {
        let each = "case when encrypted_password ^@ '{' then 'sealed' else left(encrypted_password, 9) end";
        let all = format!("select string_agg({each}, ',' order by email) from auth.users");
        rows.query_one(&all, &[]).await.unwrap().get::<_, String>(0)
    };
    assert_eq!(passwords().await, "$argon2id,");
    let path = format!("/admin/users/{}", ann["id"].as_str().unwrap());
    app.admin()
        .put(&path, json!({"password": "another-horse-2"}))
        .await
        .ok();
    assert_eq!(passwords().await, "sealed,");
    let mail = app.outbox.take(Some("bob@example.com")).unwrap();
    let invitation = mail.links().remove(0);
    let link = &invitation[invitation.find("/verify").unwrap()..];
    app.visitor().get(link).await;
    assert_eq!(passwords().await, "sealed,sealed");
}

#[tokio::test]
async fn a_key_whose_name_leaves_no_room_for_hashes_is_told_at_the_start() {
    let database = Database::new().await;
    let mut start = environment(&[(&"k".repeat(60), KEY_1)], true);
    let refused = TestApp::on(&database, start.clone()).await.err().unwrap();
    assert!(refused.contains("characters too long"), "{refused}");
    start.insert("TRUEGATE_PASSWORD_HASH".into(), "bcrypt".into());
    TestApp::on(&database, start).await.unwrap();
}

#[tokio::test]
async fn the_secret_of_a_custom_provider_is_sealed() {
    let database = Database::new().await;
    let app = server(&database, &[("key-1", KEY_1)], true).await;
    let acme = json!({
        "provider_type": "oauth2", "identifier": "custom:acme", "name": "Acme", "client_id": "id", "client_secret": "hush",
        "authorization_url": "https://203.0.113.7/a", "token_url": "https://203.0.113.7/t", "userinfo_url": "https://203.0.113.7/u",
    });
    app.admin().post("/admin/custom-providers", acme).await.ok();
    let rows = database.connect().await;
    let sealed = async || {
        let row = "select id::text, client_secret from auth.custom_oauth_providers";
        let row = rows.query_one(row, &[]).await.unwrap();
        let (id, secret): (String, String) = (row.get(0), row.get(1));
        let opened = app.vault.open(id.parse().unwrap(), &secret).unwrap();
        (
            secret.starts_with("{\"key_id\":\"key-1\""),
            opened.into_owned(),
        )
    };
    assert_eq!(sealed().await, (true, "hush".to_owned()));
    let change = json!({"client_secret": "hush-2"});
    app.admin()
        .put("/admin/custom-providers/custom:acme", change)
        .await
        .ok();
    assert_eq!(sealed().await, (true, "hush-2".to_owned()));
}
