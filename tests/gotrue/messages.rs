//! Codes by text message, where the recordings do not reach: providers, limits, races.

use std::time::Duration;

use futures_util::future::join;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use truegate::config::{Config, HookSecrets, Rate};
use truegate::crypto::otp as codes_of;
use truegate::error::Code;

use crate::replay::standin::Standin;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::reply::Reply;

const PHONE: &str = "15551234567";
const OTHER: &str = "15557654321";

/// Phones on; nobody has to wait for a second message, or to share with others.
fn phones(config: &mut Config) {
    config.external.phone_enabled = true;
    config.sms.max_frequency = Duration::from_nanos(1);
    config.rate_limit.sms_sent = Rate::Hourly(1_000_000.0);
}

/// A server whose messages go to the stand-in, by a provider of our own settings.
async fn app(standin: &Standin) -> TestApp {
    let url = format!("{}/sms", address(standin));
    TestApp::with(|config| {
        phones(config);
        config.sms.provider = "http".into();
        config.truegate.post_messages_to(url.parse().unwrap());
    })
    .await
}

fn address(standin: &Standin) -> String {
    let [(_, address), ..] = standin.variables();
    address
}

/// What the stand-in answers.
fn answers(standin: &Standin, routes: &Value) {
    standin.declare(serde_json::from_value(json!({"routes": routes})).unwrap());
}

/// The codes that were sent, in order.
fn codes(standin: &Standin) -> Vec<String> {
    let sent = standin.take();
    let body = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    sent.iter()
        .map(|request| body(&request.body)["code"].as_str().unwrap().to_owned())
        .collect()
}

async fn otp(app: &TestApp, phone: &str) -> Reply {
    app.visitor().post("/otp", json!({"phone": phone})).await
}

async fn verify(app: &TestApp, kind: &str, phone: &str, code: &str) -> Reply {
    let said = json!({"type": kind, "phone": phone, "token": code});
    app.visitor().post("/verify", said).await
}

/// All rows that a phone's code leaves.
const ROWS: &str = "SELECT (SELECT count(*) FROM auth.users) + (SELECT count(*) FROM auth.identities) \
                    + (SELECT count(*) FROM auth.one_time_tokens) + (SELECT count(*) FROM auth.audit_log_entries)";

#[tokio::test]
async fn what_a_provider_refuses_leaves_nothing_behind() {
    let standin = Standin::start().await;
    let base = address(&standin);
    let app = TestApp::with(|config| {
        phones(config);
        config.sms.provider = "twilio".into();
        config.sms.twilio_account_sid = "AC00".into();
        config.sms.twilio_auth_token = Some("token".into());
        config.sms.twilio_message_service_sid = "MG00".into();
        config.sms.api_base = Some(base);
    })
    .await;
    let route = "POST /2010-04-01/Accounts/AC00/Messages.json";
    let refusal = json!({"code": 21211, "message": "No such number.", "more_info": "https://twilio.com/21211"});
    answers(&standin, &json!({route: {"status": 400, "json": refusal}}));
    let words = "to provider: No such number. More information: https://twilio.com/21211";
    let sign_up = json!({"phone": PHONE, "password": PASSWORD});
    for refused in [
        otp(&app, PHONE).await,
        app.visitor().post("/signup", sign_up).await,
    ] {
        assert_eq!(
            refused.refused(422, Code::SmsSendFailed),
            format!("Error sending confirmation OTP {words}")
        );
    }
    assert_eq!(app.count(ROWS).await, 0);

    let ann = app.user("ann@example.com").await;
    let before = app.count(ROWS).await;
    let refused = ann
        .put("/user", json!({"phone": PHONE, "data": {"a": 1}}))
        .await;
    assert_eq!(
        refused.refused(422, Code::SmsSendFailed),
        format!("Error sending phone_change OTP {words}")
    );
    assert_eq!(app.count(ROWS).await, before);
    let user = ann.get("/user").await.ok();
    assert_eq!(
        (&user["new_phone"], &user["user_metadata"]["a"]),
        (&Value::Null, &Value::Null)
    );

    answers(
        &standin,
        &json!({route: {"json": {"sid": "SM1", "status": "queued"}}}),
    );
    assert_eq!(otp(&app, PHONE).await.ok(), json!({}));
}

#[tokio::test]
async fn a_template_and_a_code_that_works_once() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let app = app(&standin).await;
    otp(&app, PHONE).await.ok();
    let [sent] = &standin.take()[..] else {
        panic!("one message")
    };
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let code = body["code"].as_str().unwrap();
    assert_eq!(body["message"], format!("Your code is {code}"));
    assert_eq!(body["phone"], format!("+{PHONE}"));

    let grant = verify(&app, "sms", PHONE, code).await.ok();
    assert_eq!(grant["user"]["phone"], PHONE);
    verify(&app, "sms", PHONE, code)
        .await
        .refused(403, Code::OtpExpired);
}

#[tokio::test]
async fn attack_006_an_old_code_is_void_when_a_new_one_is_sent() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let app = app(&standin).await;
    otp(&app, PHONE).await.ok();
    app.clock.advance(chrono::TimeDelta::seconds(1));
    otp(&app, PHONE).await.ok();
    let codes = codes(&standin);
    // Once in a million times they are the same.
    if codes[0] != codes[1] {
        verify(&app, "sms", PHONE, &codes[0])
            .await
            .refused(403, Code::OtpExpired);
    }
    app.clock.advance(chrono::TimeDelta::seconds(61));
    verify(&app, "sms", PHONE, &codes[1])
        .await
        .refused(403, Code::OtpExpired);
}

#[tokio::test]
async fn attack_008_a_code_is_good_for_its_purpose_and_number_alone() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let app = app(&standin).await;
    otp(&app, PHONE).await.ok();
    let code = codes(&standin).remove(0);
    for (kind, phone) in [
        ("phone_change", PHONE),
        ("sms", OTHER),
        ("signup", PHONE),
        ("recovery", PHONE),
        ("email", PHONE),
        ("email_change", PHONE),
        ("nonsense", PHONE),
    ] {
        let refused = verify(&app, kind, phone, &code).await;
        refused.refused(403, Code::OtpExpired);
    }
    // Nor is its hash, which nobody was sent, a link.
    for kind in ["signup", "invite", "email"] {
        let said = json!({"type": kind, "token_hash": codes_of::token_hash(PHONE, &code)});
        let refused = app.visitor().post("/verify", said).await;
        refused.refused(403, Code::OtpExpired);
    }
    let grant = verify(&app, "sms", PHONE, &code).await.ok();
    let ann = app.granted(&grant);

    ann.put("/user", json!({"phone": OTHER})).await.ok();
    let change = codes(&standin).remove(0);
    verify(&app, "sms", PHONE, &change)
        .await
        .refused(403, Code::OtpExpired);
    verify(&app, "sms", OTHER, &change)
        .await
        .refused(403, Code::OtpExpired);
    let grant = verify(&app, "phone_change", OTHER, &change).await.ok();
    assert_eq!(grant["user"]["phone"], OTHER);

    ann.get("/reauthenticate").await.ok();
    let nonce = codes(&standin).remove(0);
    verify(&app, "sms", OTHER, &nonce)
        .await
        .refused(403, Code::OtpExpired);
}

#[tokio::test]
async fn two_who_wait_for_one_number_have_a_code_each() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let app = app(&standin).await;
    let (ann, bob) = (
        app.user("ann@example.com").await,
        app.user("bob@example.com").await,
    );
    for caller in [&ann, &bob] {
        caller.put("/user", json!({"phone": PHONE})).await.ok();
    }
    let codes = codes(&standin);
    // Whoever comes first has the number; the other one's proof comes too late.
    let grant = verify(&app, "phone_change", PHONE, &codes[0]).await.ok();
    assert_eq!(grant["user"]["id"], ann.id.as_str());
    let late = verify(&app, "phone_change", PHONE, &codes[1]).await;
    late.refused(422, Code::PhoneExists);
    assert_eq!(bob.get("/user").await.ok()["phone"], "");
}

#[tokio::test]
async fn only_so_many_messages() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let url = format!("{}/sms", address(&standin));
    let app = TestApp::with(|config| {
        phones(config);
        config.sms.provider = "http".into();
        config.truegate.post_messages_to(url.parse().unwrap());
        let refill = Duration::from_hours(1);
        config.rate_limit.sms_sent = Rate::Bucket { size: 1, refill };
    })
    .await;
    otp(&app, PHONE).await.ok();
    let refused = otp(&app, OTHER).await;
    assert_eq!(
        refused.refused(429, Code::OverSmsSendRateLimit),
        "SMS rate limit exceeded"
    );
    assert!(refused.header("retry-after").is_some());
    assert_eq!(codes(&standin).len(), 1);
    app.clock.advance(chrono::TimeDelta::hours(1));
    otp(&app, OTHER).await.ok();
}

/// Whatever becomes of an act, its message was sent.
#[tokio::test]
async fn who_fails_afterwards_sends_no_second_message() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let url = format!("{}/sms", address(&standin));
    let app = TestApp::with(|config| {
        phones(config);
        config.sms.max_frequency = Duration::from_mins(1);
        config.sms.provider = "http".into();
        config.truegate.post_messages_to(url.parse().unwrap());
    })
    .await;
    let rows = app.database().connect().await;
    rows.batch_execute(
        "create function public.refuse() returns trigger language plpgsql as 'begin raise ''no''; end'; \
         create trigger refuse before insert on auth.users for each row execute function public.refuse()",
    )
    .await
    .unwrap();
    assert_eq!(otp(&app, PHONE).await.status, 500);
    assert_eq!(
        otp(&app, PHONE)
            .await
            .refused(429, Code::OverSmsSendRateLimit),
        "For security purposes, you can only request this after 59 seconds."
    );
    assert_eq!(codes(&standin).len(), 1);
    // Others are not concerned, and it ends.
    assert_eq!(otp(&app, OTHER).await.status, 500);
    app.clock.advance(chrono::TimeDelta::minutes(1));
    rows.batch_execute("drop trigger refuse on auth.users")
        .await
        .unwrap();
    otp(&app, PHONE).await.ok();
    assert_eq!(codes(&standin).len(), 2);
}

/// Numbers are unique whatever the audience is.
#[tokio::test]
async fn no_message_goes_to_a_number_of_another_audience() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {}}));
    let app = app(&standin).await;
    let ann = json!({"phone": PHONE, "phone_confirm": true});
    app.admin().post("/admin/users", ann).await.ok();
    let rows = app.database().connect().await;
    rows.execute("update auth.users set aud = 'others'", &[])
        .await
        .unwrap();
    let refused = otp(&app, PHONE).await;
    refused.refused(422, Code::UserAlreadyExists);
    assert_eq!(codes(&standin).len(), 0);
}

#[tokio::test]
async fn who_has_no_provider_offers_no_phones() {
    let app = TestApp::with(phones).await;
    let refused = otp(&app, PHONE).await;
    assert_eq!(
        refused.refused(400, Code::PhoneProviderDisabled),
        "Unsupported phone provider"
    );
    let ann = app.user("ann@example.com").await;
    let refused = ann.put("/user", json!({"phone": PHONE})).await;
    refused.refused(400, Code::PhoneProviderDisabled);

    let app = TestApp::with(|config| {
        phones(config);
        config.sms.provider = "vonage".into();
    })
    .await;
    let failed = otp(&app, PHONE).await;
    assert_eq!(
        failed.refused(500, Code::UnexpectedFailure),
        "Unable to get SMS provider"
    );
}

#[tokio::test]
async fn twilio_verify_checks_its_own_codes() {
    let standin = Standin::start().await;
    let base = address(&standin);
    let app = TestApp::with(|config| {
        phones(config);
        config.sms.provider = "twilio_verify".into();
        config.sms.twilio_verify_account_sid = "AC01".into();
        config.sms.twilio_verify_auth_token = Some("token".into());
        config.sms.twilio_verify_message_service_sid = "VA01".into();
        config.sms.api_base = Some(base);
        config.security.update_password_require_reauthentication = true;
    })
    .await;
    let says = |status: &str, valid: bool| {
        json!({
            "POST /v2/Services/VA01/Verifications": {"status": 201, "json": {"sid": "VE1"}},
            "POST /v2/Services/VA01/VerificationCheck": {"json": {"status": status, "valid": valid}},
        })
    };
    answers(&standin, &says("pending", false));
    otp(&app, PHONE).await.ok();
    verify(&app, "sms", PHONE, "111111")
        .await
        .refused(403, Code::OtpExpired);
    // Nobody is asked about numbers that nobody has.
    standin.take();
    verify(&app, "sms", OTHER, "111111")
        .await
        .refused(403, Code::OtpExpired);
    assert!(standin.take().is_empty());

    answers(&standin, &says("approved", true));
    let grant = verify(&app, "sms", PHONE, "222222").await.ok();
    let ann = app.granted(&grant);
    let asked = standin.take().pop().unwrap();
    assert_eq!(asked.body, format!("Code=222222&To=%2B{PHONE}"));

    app.clock.advance(chrono::TimeDelta::hours(25));
    let grant = json!({"refresh_token": ann.refresh_token});
    let grant = app
        .visitor()
        .post("/token?grant_type=refresh_token", grant)
        .await
        .ok();
    let ann = app.granted(&grant);
    let change = json!({"password": PASSWORD, "nonce": "333333"});
    ann.put("/user", change.clone())
        .await
        .refused(422, Code::ReauthenticationNotValid);
    ann.get("/reauthenticate").await.ok();
    answers(&standin, &says("pending", false));
    ann.put("/user", change.clone())
        .await
        .refused(403, Code::OtpExpired);
    answers(&standin, &says("approved", true));
    ann.put("/user", change).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_twice_at_once_has_one_code() {
    let standin = Standin::start().await;
    answers(&standin, &json!({"POST /sms": {"delay": 0.05}}));
    let app = app(&standin).await;
    for round in 0..10 {
        let phone = format!("1555000{round:04}");
        // A newcomer, then somebody who is known.
        for _ in 0..2 {
            let (one, two) = join(otp(&app, &phone), otp(&app, &phone)).await;
            for reply in [&one, &two] {
                if !reply.status.is_success() {
                    reply.refused(429, Code::OverSmsSendRateLimit);
                }
            }
            assert!(
                one.status.is_success() || two.status.is_success(),
                "{one:?} {two:?}"
            );
            let mut works = 0;
            for code in codes(&standin) {
                works += u8::from(verify(&app, "sms", &phone, &code).await.status.is_success());
            }
            assert_eq!(works, 1);
            app.clock.advance(chrono::TimeDelta::seconds(1));
        }
    }
    assert_eq!(app.count("SELECT count(*) FROM auth.users").await, 10);
}

/// While a hook says nothing, other people's requests have the one connection to the database for themselves.
#[tokio::test]
async fn a_hook_that_hangs_delays_nobody() {
    let hook = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", hook.local_addr().unwrap());
    let app = TestApp::with(|config| {
        phones(config);
        config.db.max_pool_size = 1;
        config.hooks.send_sms.enabled = true;
        config.hooks.send_sms.uri = Some(uri);
        config.hooks.send_sms.secrets = HookSecrets::default();
    })
    .await;
    let ann = app.user("ann@example.com").await;
    let others = async {
        let (mut stream, _) = hook.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        for _ in 0..5 {
            ann.get("/user").await.ok();
            otp(&app, "x").await.refused(400, Code::ValidationFailed);
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (reply, _stream) = join(otp(&app, PHONE), others).await;
    assert_eq!(reply.ok(), json!({}));
    assert_eq!(app.count("SELECT count(*) FROM auth.users").await, 2);
}
