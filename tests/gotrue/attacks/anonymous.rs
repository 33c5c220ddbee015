//! Anonymous users who become somebody: attack 73. A conversion keeps one's own rows, and touches no others.

use serde_json::{Value, json};
use truegate::config::Config;
use truegate::error::Code;

use crate::support::app::{Caller, PASSWORD, TestApp};

/// Everything that the database holds of a user, table by table.
const ROWS: &str = "
    SELECT jsonb_build_object(
        'users', (SELECT jsonb_agg(u) FROM auth.users u WHERE u.id = own.id),
        'identities', (SELECT jsonb_agg(i ORDER BY i.id) FROM auth.identities i WHERE i.user_id = own.id),
        'sessions', (SELECT jsonb_agg(s ORDER BY s.id) FROM auth.sessions s WHERE s.user_id = own.id),
        'methods', (SELECT jsonb_agg(m ORDER BY m.id) FROM auth.mfa_amr_claims m
            JOIN auth.sessions s ON s.id = m.session_id WHERE s.user_id = own.id),
        'refresh_tokens', (SELECT jsonb_agg(r ORDER BY r.id) FROM auth.refresh_tokens r WHERE r.user_id = own.id::text),
        'codes', (SELECT jsonb_agg(o ORDER BY o.id) FROM auth.one_time_tokens o WHERE o.user_id = own.id)
    )::text FROM (SELECT $1::text::uuid AS id) own";

async fn app(change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.external.anonymous_users_enabled = true;
        config.external.phone_enabled = true;
        config.mailer.autoconfirm = false;
        let subject = json!({"email_change": "{{ .Token }}"});
        config.mailer.subjects = serde_json::from_value(subject).unwrap();
        change(config);
    })
    .await
}

/// Somebody who is nobody yet, with a basket.
async fn nobody(app: &TestApp, basket: &str) -> Caller {
    let body = json!({"data": {"basket": basket}});
    let grant = app.visitor().post("/signup", body).await.ok();
    app.granted(&grant)
}

async fn rows(app: &TestApp, id: &str) -> Value {
    let database = app.database().connect().await;
    let row = database.query_one(ROWS, &[&id]).await.unwrap();
    serde_json::from_str(row.get(0)).unwrap()
}

async fn count_users(app: &TestApp) -> i64 {
    let database = app.database().connect().await;
    let count = "SELECT count(*) FROM auth.users";
    database.query_one(count, &[]).await.unwrap().get(0)
}

/// Asks to be known by this address; returns the code of the mail.
async fn ask(app: &TestApp, caller: &Caller, email: &str) -> String {
    caller.put("/user", json!({"email": email})).await.ok();
    let mail = app.outbox.take(Some(email)).expect("a mail");
    mail.code().expect("a code")
}

fn proof(email: &str, code: &str) -> Value {
    json!({"type": "email_change", "email": email, "token": code})
}

/// Says that the user is who it was before, with its basket and its session, and nobody's guest any more.
async fn is_the_same_person(app: &TestApp, before: &Caller, basket: &str) {
    let refresh = json!({"refresh_token": before.refresh_token});
    let refreshed = before.post("/token?grant_type=refresh_token", refresh);
    let user = refreshed.await.ok()["user"].take();
    assert_eq!(user["id"], before.id.as_str());
    assert_eq!(user["is_anonymous"], false);
    assert_eq!(user["user_metadata"]["basket"], basket);
    let own = rows(app, &before.id).await;
    let identities = own["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 1, "{identities:?}");
    assert_eq!(identities[0]["provider_id"], before.id.as_str());
}

#[tokio::test]
async fn attack_073_who_confirms_an_address_keeps_only_their_own_rows() {
    let app = app(|_| {}).await;
    let (ann, bob) = (nobody(&app, "ann's").await, nobody(&app, "bob's").await);
    // Bob is in the middle of the same.
    ask(&app, &bob, "bob@example.com").await;
    let of_bob = rows(&app, &bob.id).await;

    let code = ask(&app, &ann, "ann@example.com").await;
    let body = proof("ann@example.com", &code);
    app.visitor().post("/verify", body).await.ok();
    is_the_same_person(&app, &ann, "ann's").await;
    assert_eq!(rows(&app, &bob.id).await, of_bob);
    assert_eq!(count_users(&app).await, 2);
}

#[tokio::test]
async fn attack_073_where_nothing_is_confirmed_a_conversion_is_no_different() {
    let app = app(|config| {
        config.mailer.autoconfirm = true;
        config.sms.autoconfirm = true;
    })
    .await;
    let bob = nobody(&app, "bob's").await;
    let of_bob = rows(&app, &bob.id).await;
    let contacts = [
        json!({"email": "ann@example.com"}),
        json!({"phone": "15551234567"}),
    ];
    for contact in contacts {
        let ann = nobody(&app, "ann's").await;
        ann.put("/user", contact).await.ok();
        is_the_same_person(&app, &ann, "ann's").await;
        assert_eq!(rows(&app, &bob.id).await, of_bob);
    }
    assert_eq!(count_users(&app).await, 3);
}

#[tokio::test]
async fn attack_073_an_address_of_somebody_else_brings_nothing_of_theirs() {
    let app = app(|config| config.mailer.autoconfirm = true).await;
    let victim = app.user("victim@example.com").await;
    let nobody = nobody(&app, "x").await;
    let before = (rows(&app, &victim.id).await, rows(&app, &nobody.id).await);
    let taken = nobody.put("/user", json!({"email": "Victim@Example.com"}));
    taken.await.refused(422, Code::EmailExists);
    let after = (rows(&app, &victim.id).await, rows(&app, &nobody.id).await);
    assert_eq!(after, before);
}

#[tokio::test]
async fn attack_073_of_two_who_want_one_address_the_second_gets_nothing() {
    let app = app(|_| {}).await;
    let (ann, eve) = (nobody(&app, "ann's").await, nobody(&app, "eve's").await);
    let wanted = "ann@example.com";
    let of_eve = ask(&app, &eve, wanted).await;
    let of_ann = ask(&app, &ann, wanted).await;
    let verify = async |code| app.visitor().post("/verify", proof(wanted, code)).await;
    verify(&of_ann).await.ok();
    is_the_same_person(&app, &ann, "ann's").await;

    let before = (rows(&app, &ann.id).await, rows(&app, &eve.id).await);
    assert!(verify(&of_eve).await.status.is_client_error());
    let after = (rows(&app, &ann.id).await, rows(&app, &eve.id).await);
    assert_eq!(after, before);
    assert_eq!(after.1["users"][0]["is_anonymous"], true);
    assert_eq!(after.1["identities"], Value::Null);
}

#[tokio::test]
async fn attack_073_to_sign_up_or_in_while_anonymous_moves_nothing() {
    let app = app(|config| config.mailer.autoconfirm = true).await;
    app.user("ann@example.com").await;
    let nobody = nobody(&app, "nobody's").await;
    let before = rows(&app, &nobody.id).await;
    let credentials = |email: &str| {
        // Whom a client says it was counts for nothing.
        json!({"email": email, "password": PASSWORD, "id": nobody.id, "user_id": nobody.id, "data": {"sub": nobody.id}})
    };
    let doors = [
        ("/token?grant_type=password", "ann@example.com"),
        ("/signup", "new@example.com"),
    ];
    for (door, email) in doors {
        let grant = nobody.post(door, credentials(email)).await.ok();
        assert_ne!(grant["user"]["id"], nobody.id.as_str(), "{door}");
        assert_eq!(rows(&app, &nobody.id).await, before, "{door}");
    }
}

#[tokio::test]
async fn attack_073_a_token_from_before_is_refused_where_nobody_may_go() {
    let app = app(|config| config.mailer.autoconfirm = true).await;
    let ann = nobody(&app, "ann's").await;
    let factor = json!({"factor_type": "totp"});
    let paths = ["/factors", "/factors/", "/factors/x/challenge"];
    for path in paths {
        let refused = ann.post(path, factor.clone()).await;
        refused.refused(403, Code::NoAuthorization);
    }
    let contact = json!({"email": "ann@example.com"});
    ann.put("/user", contact).await.ok();
    let old = ann.post("/factors", factor.clone()).await;
    old.refused(403, Code::NoAuthorization);

    let refresh = json!({"refresh_token": ann.refresh_token});
    let grant = ann.post("/token?grant_type=refresh_token", refresh).await;
    let somebody = app.granted(&grant.ok());
    let admitted = somebody.post("/factors/x/challenge", factor).await;
    assert_eq!(admitted.status, 404, "{admitted:?}");
}
