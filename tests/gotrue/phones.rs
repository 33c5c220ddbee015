//! Phones as GoTrue answers them in the corners that its recordings leave out.

use std::time::Duration;

use serde_json::{Value, json};
use truegate::config::{Config, HookSecrets, Rate, TestOtps};
use truegate::error::Code;

use crate::replay::standin::Standin;
use crate::support::app::{Caller, PASSWORD, TestApp};

const PHONE: &str = "15551234567";
const OTHER: &str = "15557654321";
const EMAIL: &str = "ann@example.com";

/// A server whose hook sends the messages.
async fn app(standin: &Standin, change: impl FnOnce(&mut Config)) -> TestApp {
    let [(_, address), ..] = standin.variables();
    let routes = json!({"routes": {"POST /sms": {"json": {}}}});
    standin.declare(serde_json::from_value(routes).unwrap());
    TestApp::with(|config| {
        config.external.phone_enabled = true;
        config.external.anonymous_users_enabled = true;
        config.sms.max_frequency = Duration::from_nanos(1);
        config.rate_limit.sms_sent = Rate::Hourly(1_000_000.0);
        config.hooks.send_sms.enabled = true;
        config.hooks.send_sms.uri = Some(format!("{address}/sms"));
        config.hooks.send_sms.secrets = HookSecrets::default();
        change(config);
    })
    .await
}

/// What the hook was told since the last look, and the code in it.
fn told(standin: &Standin) -> (Value, String) {
    let asked = standin.take().pop().unwrap();
    let said: Value = serde_json::from_slice(&asked.body).unwrap();
    let code = said["sms"]["otp"].as_str().unwrap().to_owned();
    (said, code)
}

/// A user who has a phone and no e-mail address, just signed in.
async fn by_phone(app: &TestApp) -> Caller {
    let user = json!({"phone": PHONE, "password": PASSWORD, "phone_confirm": true});
    app.admin().post("/admin/users", user).await.ok();
    let credentials = json!({"phone": PHONE, "password": PASSWORD});
    let grant = app
        .visitor()
        .post("/token?grant_type=password", credentials)
        .await
        .ok();
    app.granted(&grant)
}

fn code(kind: &str, phone: &str, token: &str) -> Value {
    json!({"type": kind, "phone": phone, "token": token})
}

#[tokio::test]
async fn a_new_number_waits_while_other_things_are_confirmed() {
    let standin = Standin::start().await;
    let app = app(&standin, |_| {}).await;
    let ann = by_phone(&app).await;
    ann.put("/user", json!({"phone": OTHER})).await.ok();
    let (_, change) = told(&standin);
    let visitor = app.visitor();
    visitor.post("/otp", json!({"phone": PHONE})).await.ok();
    let (_, sign_in) = told(&standin);
    visitor
        .post("/verify", code("sms", PHONE, &sign_in))
        .await
        .ok();
    let changes = json!({"email": EMAIL, "email_confirm": true});
    let path = format!("/admin/users/{}", ann.id);
    app.admin().put(&path, changes).await.ok();
    let grant = visitor
        .post("/verify", code("phone_change", OTHER, &change))
        .await
        .ok();
    assert_eq!(grant["user"]["phone"], OTHER);

    // A new password makes it void all the same.
    ann.put("/user", json!({"phone": PHONE})).await.ok();
    let (_, change) = told(&standin);
    ann.put("/user", json!({"password": "a better horse"}))
        .await
        .ok();
    visitor
        .post("/verify", code("phone_change", PHONE, &change))
        .await
        .refused(403, Code::OtpExpired);
}

#[tokio::test]
async fn a_number_of_tests_needs_no_code_that_was_sent() {
    let standin = Standin::start().await;
    let app = app(&standin, |config| {
        config.sms.test_otp = TestOtps([(OTHER.into(), "123456".into())].into());
    })
    .await;
    let ann = by_phone(&app).await;
    ann.put("/user", json!({"phone": OTHER})).await.ok();
    ann.put("/user", json!({"password": "a better horse"}))
        .await
        .ok();
    let visitor = app.visitor();
    visitor
        .post("/verify", code("phone_change", OTHER, "654321"))
        .await
        .refused(403, Code::OtpExpired);
    let grant = visitor
        .post("/verify", code("phone_change", OTHER, "123456"))
        .await
        .ok();
    assert_eq!(grant["user"]["phone"], OTHER);
}

#[tokio::test]
async fn the_hook_is_told_of_the_user_as_the_update_leaves_them() {
    let standin = Standin::start().await;
    let app = app(&standin, |config| {
        config.sms.max_frequency = Duration::from_mins(1);
    })
    .await;
    let ann = by_phone(&app).await;
    let changes = json!({"phone": OTHER, "email": EMAIL, "data": {"a": 1}});
    ann.put("/user", changes).await.ok();
    let (said, _) = told(&standin);
    assert_eq!(said["user"]["new_phone"], OTHER);
    assert_eq!(said["user"]["new_email"], EMAIL);
    assert!(said["user"]["email_change_sent_at"].is_string());
    assert_eq!(said["user"]["user_metadata"]["a"], 1);

    let again = json!({"phone": "15550000009"});
    ann.put("/user", again)
        .await
        .refused(429, Code::OverSmsSendRateLimit);
    // With a new password, what was sent before is void, and nobody has to wait.
    let again = json!({"phone": "15550000009", "password": "a better horse"});
    ann.put("/user", again).await.ok();
    let (said, _) = told(&standin);
    assert!(said["user"].get("phone_change_sent_at").is_none());
}

#[tokio::test]
async fn who_signs_up_with_a_number_of_somebody_else_learns_nothing() {
    let standin = Standin::start().await;
    let app = app(&standin, |_| {}).await;
    let user =
        json!({"email": EMAIL, "email_confirm": true, "phone": PHONE, "user_metadata": {"a": 1}});
    let ann = app.admin().post("/admin/users", user).await.ok();
    let sign_up = json!({"phone": PHONE, "password": PASSWORD, "data": {"b": 2}});
    let answer = app.visitor().post("/signup", sign_up).await.ok();
    assert_ne!(answer["id"], ann["id"]);
    assert_eq!(
        (&answer["email"], &answer["phone"], &answer["user_metadata"]),
        (&json!(""), &json!(PHONE), &json!({"b": 2}))
    );
    // The code went to the phone, and makes it Ann's.
    let (_, sent) = told(&standin);
    let visitor = app.visitor();
    let grant = visitor.post("/verify", code("sms", PHONE, &sent)).await;
    assert_eq!(grant.ok()["user"]["id"], ann["id"]);
}

#[tokio::test]
async fn a_code_by_text_message_begins_no_pkce_flow() {
    let standin = Standin::start().await;
    let app = app(&standin, |_| {}).await;
    let visitor = app.visitor();
    let asked = |challenge: &str| json!({"phone": PHONE, "code_challenge": challenge, "code_challenge_method": "md5"});
    visitor.post("/otp", asked(&"x".repeat(43))).await.ok();
    visitor
        .post("/otp", asked("short"))
        .await
        .refused(400, Code::ValidationFailed);
}

#[tokio::test]
async fn an_address_in_the_data_of_a_phone_user_stands_in_the_identity() {
    let standin = Standin::start().await;
    let app = app(&standin, |_| {}).await;
    let sign_up =
        json!({"phone": PHONE, "password": PASSWORD, "data": {"email": "Ann@Example.com"}});
    let user = app.visitor().post("/signup", sign_up).await.ok();
    let identity = &user["identities"][0];
    assert_eq!(identity["email"], "Ann@Example.com");
    assert_eq!(identity["identity_data"]["email"], EMAIL);
}

#[tokio::test]
async fn a_nonce_that_nobody_asked_for_is_no_nonce() {
    let standin = Standin::start().await;
    let app = app(&standin, |config| {
        config.security.update_password_require_reauthentication = true;
    })
    .await;
    let grant = app.visitor().post("/signup", json!({})).await.ok();
    let somebody = app.granted(&grant);
    app.clock.advance(chrono::TimeDelta::hours(25));
    let grant = json!({"refresh_token": somebody.refresh_token});
    let grant = app
        .visitor()
        .post("/token?grant_type=refresh_token", grant)
        .await
        .ok();
    let changes = json!({"email": EMAIL, "password": PASSWORD, "nonce": "123456"});
    let refused = app.granted(&grant).put("/user", changes).await;
    assert_eq!(
        refused.refused(422, Code::ReauthenticationNotValid),
        "Nonce has expired or is invalid"
    );
}

#[tokio::test]
async fn the_audit_log_tells_an_update_in_its_order() {
    let standin = Standin::start().await;
    let app = app(&standin, |config| {
        config.sms.autoconfirm = true;
        config.mailer.autoconfirm = true;
    })
    .await;
    let grant = app.visitor().post("/signup", json!({})).await.ok();
    let changes = json!({"email": EMAIL, "phone": PHONE, "password": PASSWORD});
    app.granted(&grant).put("/user", changes).await.ok();
    let rows = app.database().connect().await;
    let entries = rows
        .query(
            "SELECT payload->>'action', payload->>'actor_username' FROM auth.audit_log_entries \
             WHERE payload->>'action' LIKE 'user%' ORDER BY created_at, payload->>'action'",
            &[],
        )
        .await
        .unwrap();
    let entries: Vec<(String, String)> =
        entries.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("user_updated_password", ""),
        ("user_modified", ""),
        ("user_modified", EMAIL),
        ("user_modified", PHONE),
    ];
    let expected = expected.map(|(action, actor)| (action.to_owned(), actor.to_owned()));
    assert_eq!(entries, expected);
}
