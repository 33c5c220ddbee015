//! Addresses that somebody has written where they do not belong: whoever really has them loses nothing, and whoever
//! planted them gets nothing (attacks 72 and 74).

use serde_json::{Value, json};
use truegate::config::Config;
use truegate::error::Code;

use crate::gotrue::id_token::Setting;
use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::provider::{Answer, Detour, Provider, USERINFO, location, parameter};
use crate::support::reply::Reply;

const EMAIL: &str = "ann@example.com";
const PHONE: &str = "15551234567";
const APPLE: &str = "https://appleid.apple.com";

/// Phone numbers are good at once.
fn phones(config: &mut Config) {
    config.external.phone_enabled = true;
    config.sms.autoconfirm = true;
}

/// Somebody signs up by phone, and names an address.
async fn by_phone(app: &TestApp, phone: &str, email: &str) -> Caller {
    let said = json!({"phone": phone, "password": PASSWORD, "data": {"email": email, "a": 1}});
    app.granted(&app.visitor().post("/signup", said).await.ok())
}

async fn sign_up(app: &TestApp, email: &str) -> Reply {
    let said = json!({"email": email, "password": "another-password", "data": {"secret": 1}});
    app.visitor().post("/signup", said).await
}

/// What is the user's own.
async fn own(caller: &Caller) -> [Value; 4] {
    let user = caller.get("/user").await.ok();
    ["email", "phone", "user_metadata", "identities"].map(|name| user[name].clone())
}

#[tokio::test]
async fn attack_072_an_address_in_the_data_of_a_phone_user_is_nobodys() {
    for autoconfirm in [true, false] {
        let app = TestApp::with(|config| {
            phones(config);
            config.mailer.autoconfirm = autoconfirm;
        })
        .await;
        let mallory = by_phone(&app, PHONE, EMAIL).await;
        let before = own(&mallory).await;
        let signed_up = sign_up(&app, EMAIL).await.ok();
        let user = if autoconfirm {
            &signed_up["user"]
        } else {
            app.outbox.take_one();
            &signed_up
        };
        assert_eq!(
            (&user["email"], &user["phone"]),
            (&json!(EMAIL), &json!(""))
        );
        assert_ne!(user["id"], mallory.id.as_str());
        assert_eq!(own(&mallory).await, before);
    }
}

#[tokio::test]
async fn who_signs_up_with_an_unconfirmed_address_of_an_account_changes_nothing_of_it() {
    for (mine, yours) in [("email", "phone"), ("phone", "email")] {
        let address = |kind| if kind == "email" { EMAIL } else { PHONE };
        let app = TestApp::with(phones).await;
        let mut ann = json!({"password": PASSWORD, "user_metadata": {"a": 1}});
        ann[mine] = address(mine).into();
        ann[format!("{mine}_confirm")] = true.into();
        let ann = app.admin().post("/admin/users", ann).await.ok();
        let path = format!("/admin/users/{}", ann["id"].as_str().unwrap());
        // As an import leaves it: there, and nobody has confirmed it.
        let rows = app.database().connect().await;
        let unconfirmed = format!("update auth.users set {yours} = '{}'", address(yours));
        rows.execute(&unconfirmed, &[]).await.unwrap();
        let before = app.admin().get(&path).await.ok();

        let mut said = json!({"password": "another-password", "data": {"b": 2}});
        said[yours] = address(yours).into();
        let refused = app.visitor().post("/signup", said).await;
        refused.refused(422, Code::UserAlreadyExists);
        assert_eq!(app.admin().get(&path).await.ok(), before);
    }
}

#[tokio::test]
async fn who_is_asked_to_confirm_the_address_of_an_account_takes_nothing_of_it() {
    let app = TestApp::with(|config| {
        phones(config);
        config.mailer.autoconfirm = false;
    })
    .await;
    let ann = by_phone(&app, PHONE, "").await;
    let rows = app.database().connect().await;
    let unconfirmed = format!("update auth.users set email = '{EMAIL}'");
    rows.execute(&unconfirmed, &[]).await.unwrap();
    let before = own(&ann).await;
    let invented = sign_up(&app, EMAIL).await.ok();
    assert_ne!(invented["id"], ann.id.as_str());
    let after = own(&ann).await;
    assert_eq!((&after[1], &after[2]), (&before[1], &before[2]));
    assert!(after[3].as_array().unwrap().contains(&before[3][0]));
    // The mail went to the address, and makes it Ann's.
    let link = app.outbox.take_one().link();
    let path = link.split_once("example.com").unwrap().1.to_owned();
    assert_eq!(app.visitor().get(&path).await.status, 303);
    assert_eq!(own(&ann).await[0], EMAIL);
}

#[tokio::test]
async fn attack_072_who_has_no_address_is_nobody_elses_either() {
    let setting = Setting::with(phones).await;
    for phone in [PHONE, "15557654321"] {
        by_phone(&setting.app, phone, "").await;
    }
    let apple = async |sub: &str| {
        let token = setting.token("apple", APPLE, json!({"sub": sub, "email": ""}));
        let said = json!({"provider": "apple", "id_token": token});
        let path = "/token?grant_type=id_token";
        let grant = setting.app.visitor().post(path, said).await.ok();
        grant["user"]["id"].as_str().unwrap().to_owned()
    };
    let (one, other) = (apple("one").await, apple("other").await);
    assert_ne!(one, other);
    assert_eq!(apple("one").await, one);
    let count = "select count(*) from auth.users";
    assert_eq!(setting.app.count(count).await, 4);
}

#[tokio::test]
async fn attack_074_no_letter_becomes_another_on_the_way_from_a_provider() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let victim = app.user("viktim@example.com").await;
    for (sub, look_alike) in [
        ("kelvin", "vi\u{212a}tim@example.com"),
        ("dot", "v\u{130}ktim@example.com"),
    ] {
        provider.is_signed_in(sub, look_alike, true);
        let refused = Detour::make(&app).await;
        let code = parameter(location(&refused).query(), "error_code");
        assert_eq!(code.as_deref(), Some("email_address_invalid"));
    }
    // Nor does it wait for the victim.
    provider.is_signed_in("viktim", "viktim@example.com", true);
    let back = app.came_back(&Detour::make(&app).await);
    assert_eq!(back.id, victim.id);
}

#[tokio::test]
async fn an_address_in_capitals_is_the_same_address() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    let ann = app.user(EMAIL).await;
    // As GoTrue stored it once, and its identities, too.
    let rows = app.database().connect().await;
    rows.batch_execute(
        "update auth.users set email = 'Ann@Example.com'; \
         update auth.identities set identity_data = identity_data - 'email_verified'",
    )
    .await
    .unwrap();
    provider.is_signed_in("ann", EMAIL, true);
    let back = app.came_back(&Detour::make(&app).await);
    assert_eq!(back.id, ann.id);
}

#[tokio::test]
async fn an_address_of_another_audience_is_refused_as_taken() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    app.user(EMAIL).await;
    let rows = app.database().connect().await;
    rows.execute("update auth.users set aud = 'others'", &[])
        .await
        .unwrap();
    let person = json!({"sub": "ann", "email": EMAIL, "email_verified": false});
    provider.answers(USERINFO, Answer::json(&person));
    let refused = Detour::make(&app).await;
    let code = parameter(location(&refused).query(), "error_code");
    assert_eq!(code.as_deref(), Some("email_exists"));
}
