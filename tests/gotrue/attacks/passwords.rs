//! Who may learn that an account exists, and what it takes to change how one signs in.

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use truegate::error::Code;

use super::perimeter::claims;
use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::outbox::Mail;
use crate::support::reply::Reply;

const NEW_PASSWORD: &str = "another-horse-2";

async fn execute(app: &TestApp, sql: &str) {
    let changed = app.database().connect().await.execute(sql, &[]).await;
    assert_ne!(changed.unwrap(), 0, "{sql}");
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Reply {
    let credentials = json!({"email": email, "password": password});
    app.visitor()
        .post("/token?grant_type=password", credentials)
        .await
}

#[tokio::test]
async fn attack_067_a_crowd_from_one_address_locks_nobody_out() {
    let app = TestApp::with(|config| {
        // So dear that the crowd is there before the first is done.
        config.truegate.argon2_memory_kib = 64 << 10;
        config.truegate.hash_threads = 1;
        config.truegate.hash_queue = 3;
    })
    .await;
    app.user("alice@example.com").await;
    let sign_in = async |ip: &str| {
        let credentials = json!({"email": "alice@example.com", "password": PASSWORD});
        let request = http::Request::post("/token?grant_type=password")
            .header("host", "127.0.0.1:9999")
            .header("content-type", "application/json")
            .header("x-forwarded-for", ip)
            .body(credentials.to_string().into())
            .unwrap();
        Box::pin(app.send(request)).await
    };
    let crowd = join_all((0..12).map(|_| sign_in("192.0.2.1")));
    let (crowd, stranger) = join(crowd, sign_in("192.0.2.2")).await;
    stranger.ok();
    let refused = crowd.iter().filter(|reply| reply.status == 503).count();
    assert!((1..12).contains(&refused), "{refused} of 12");
}

/// A parameter of the link of a mail.
fn token_hash(mail: &Mail) -> String {
    let link = url::Url::parse(&mail.link()).unwrap();
    let token = link.query_pairs().find(|(name, _)| name == "token");
    token.expect("a link has a token").1.into_owned()
}

async fn follow(app: &TestApp, kind: &str, mail: &Mail) -> Reply {
    let body = json!({"type": kind, "token_hash": token_hash(mail)});
    app.visitor().post("/verify", body).await
}

/// The code of a mail of this kind, which an operator's template may show; that of ours shows the link only.
async fn code(app: &TestApp, kind: &str, email: &str) -> Value {
    let body = json!({"type": kind, "email": email, "new_email": NEW});
    app.admin().post("/admin/generate_link", body).await.ok()["email_otp"].clone()
}

/// The mail to this address.
fn mail(app: &TestApp, to: &str) -> Mail {
    app.outbox.take(Some(to)).expect("a mail")
}

/// All that an answer tells, but for the name of the request.
fn told(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "sb-request-id")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (reply.status.as_u16(), headers, reply.body.clone())
}

/// An app that mails its confirmations, with an account of each kind, and one address that nobody has.
async fn accounts() -> (TestApp, [&'static str; 4]) {
    let addresses = [
        "nobody@example.com",
        "someone@example.com",
        "unconfirmed@example.com",
        "passwordless@example.com",
    ];
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    for email in &addresses[1..] {
        let confirmed = !email.starts_with("unconfirmed");
        let user = json!({"email": email, "password": PASSWORD, "email_confirm": confirmed});
        app.admin().post("/admin/users", user).await.ok();
    }
    execute(
        &app,
        "UPDATE auth.users SET encrypted_password = NULL WHERE email LIKE 'passwordless%'",
    )
    .await;
    (app, addresses)
}

#[tokio::test]
async fn attack_056_no_answer_tells_whether_an_account_exists() {
    let (app, addresses) = accounts().await;
    let no_proof = Some((403, Code::OtpExpired));
    let requests = [
        (
            "/token?grant_type=password",
            json!({"password": "wrong"}),
            Some((400, Code::InvalidCredentials)),
        ),
        ("/recover", json!({}), None),
        (
            "/recover",
            json!({"code_challenge": "x".repeat(43), "code_challenge_method": "s256"}),
            None,
        ),
        ("/otp", json!({}), None),
        ("/otp", json!({"create_user": true, "data": {"a": 1}}), None),
        ("/magiclink", json!({}), None),
        ("/resend", json!({"type": "signup"}), None),
        ("/resend", json!({"type": "email_change"}), None),
        // Seven digits: never the code that was sent.
        (
            "/verify",
            json!({"type": "email", "token": "0000000"}),
            no_proof,
        ),
        (
            "/verify",
            json!({"type": "recovery", "token": "0000000"}),
            no_proof,
        ),
        (
            "/verify",
            json!({"type": "signup", "token": "0000000"}),
            no_proof,
        ),
    ];
    for (path, body, refusal) in requests {
        let mut first = None;
        for email in addresses {
            let mut body = body.clone();
            body["email"] = email.into();
            let reply = app.visitor().post(path, body).await;
            match refusal {
                None => assert_eq!(reply.ok(), json!({}), "{path} {email}"),
                Some((status, code)) => drop(reply.refused(status, code)),
            }
            let told = told(&reply);
            let first = first.get_or_insert_with(|| told.clone());
            assert_eq!(*first, told, "{path} {email}");
        }
    }
}

#[tokio::test]
async fn attack_056_a_second_sign_up_looks_like_a_first_one() {
    let (app, addresses) = accounts().await;
    let mut answers = Vec::new();
    for email in [addresses[0], addresses[1]] {
        let body = json!({"email": email, "password": NEW_PASSWORD, "data": {"a": 1}});
        let reply = app.visitor().post("/signup", body).await;
        let mut user = reply.ok();
        assert_eq!(user["email"], email);
        let own_id = uuid::Uuid::parse_str(user["id"].as_str().unwrap()).unwrap();
        assert_eq!(own_id.get_version_num(), 4);
        let (status, headers, _) = told(&reply);
        let members = user.as_object_mut().unwrap();
        // GoTrue's clients read here that the address is taken.
        let identities = members.remove("identities").unwrap();
        assert_eq!(
            identities.as_array().unwrap().is_empty(),
            email == addresses[1]
        );
        let form: Vec<(String, std::mem::Discriminant<Value>)> = members
            .iter()
            .map(|(name, value)| (name.clone(), std::mem::discriminant(value)))
            .collect();
        let named: Vec<_> = headers.into_iter().map(|(name, _)| name).collect();
        answers.push((status, named, form, own_id));
    }
    let (first, second) = (&answers[0], &answers[1]);
    assert_eq!(
        (first.0, &first.1, &first.2),
        (second.0, &second.1, &second.2)
    );
    // The id is made up: the one of the account would tell more than its existence.
    let known = format!("SELECT id FROM auth.users WHERE id = '{}'", second.3);
    let rows = app.database().connect().await.query(&known, &[]).await;
    assert!(rows.unwrap().is_empty());
    // And the account keeps its password.
    sign_in(&app, addresses[1], PASSWORD).await.ok();
    sign_in(&app, addresses[1], NEW_PASSWORD)
        .await
        .refused(400, Code::InvalidCredentials);
}

/// The differences that are GoTrue's contract: whoever closes one does it with a setting, and tests it here.
#[tokio::test]
async fn attack_056_what_gotrue_tells_by_default() {
    let (app, [nobody, someone, unconfirmed, _]) = accounts().await;
    let visitor = app.visitor();
    let otp = async |email: &str| {
        let body = json!({"email": email, "create_user": false});
        visitor.post("/otp", body).await
    };
    otp(someone).await.ok();
    otp(nobody).await.refused(422, Code::OtpDisabled);
    // Only to who knows the password.
    sign_in(&app, unconfirmed, PASSWORD)
        .await
        .refused(400, Code::EmailNotConfirmed);
    let ban =
        "UPDATE auth.users SET banned_until = now() + interval '1 day' WHERE email LIKE 'someone%'";
    execute(&app, ban).await;
    for password in [PASSWORD, "wrong"] {
        sign_in(&app, someone, password)
            .await
            .refused(400, Code::UserBanned);
    }
    let app = TestApp::new().await;
    app.user(someone).await;
    let body = json!({"email": someone, "password": PASSWORD});
    let taken = app.visitor().post("/signup", body).await;
    taken.refused(422, Code::UserAlreadyExists);
}

/// Gives a user a second factor.
async fn enrol(app: &TestApp, user: &Caller) {
    let sql = format!(
        "INSERT INTO auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at, secret) \
         VALUES (gen_random_uuid(), '{}', 'totp', 'verified', now(), now(), 'JBSWY3DPEHPK3PXP')",
        user.id
    );
    execute(app, &sql).await;
}

#[tokio::test]
async fn attack_065_a_recovery_mail_is_no_second_factor() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let email = "alice@example.com";
    let alice = app.user(email).await;
    enrol(&app, &alice).await;
    let ways = [
        ("/recover", "recovery"),
        ("/otp", "magiclink"),
        ("/magiclink", "email"),
    ];
    for (path, kind) in ways {
        for by_code in [false, true] {
            let grant = if by_code {
                let code = code(&app, "recovery", email).await;
                let body = json!({"type": kind, "email": email, "token": code});
                app.visitor().post("/verify", body).await
            } else {
                app.visitor().post(path, json!({"email": email})).await.ok();
                follow(&app, kind, &app.outbox.take_one()).await
            };
            let recovered = app.granted(&grant.ok());
            assert_eq!(claims(&recovered)["aal"], "aal1", "{path}");
            recovered.get("/reauthenticate").await.ok();
            let nonce = app.outbox.take_one().code();
            let changes = [
                json!({"password": NEW_PASSWORD}),
                json!({"password": NEW_PASSWORD, "current_password": PASSWORD}),
                json!({"password": NEW_PASSWORD, "nonce": nonce}),
                json!({"password": NEW_PASSWORD, "aal": "aal2", "factors": []}),
                json!({"PASSWORD": NEW_PASSWORD}),
                json!({"email": "mallory@example.com"}),
                json!({"phone": "4915112345678"}),
            ];
            for change in changes {
                let reply = recovered.put("/user", change).await;
                reply.refused(401, Code::InsufficientAal);
            }
            // Nor is there a way to be without a password.
            let unset = recovered.put("/user", json!({"password": ""})).await;
            unset.refused(422, Code::WeakPassword);
        }
    }
    assert!(app.outbox.is_empty());
    sign_in(&app, email, NEW_PASSWORD)
        .await
        .refused(400, Code::InvalidCredentials);
    sign_in(&app, email, PASSWORD).await.ok();
    // It was the level that was missing.
    execute(&app, "UPDATE auth.sessions SET aal = 'aal2'").await;
    let change = json!({"password": NEW_PASSWORD});
    alice.put("/user", change).await.ok();
    sign_in(&app, email, NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn attack_065_a_refreshed_recovery_stays_at_one_factor() {
    let app = TestApp::with(|config| {
        config.sessions.allow_low_aal = Some(std::time::Duration::from_mins(10));
    })
    .await;
    let alice = app.user("alice@example.com").await;
    enrol(&app, &alice).await;
    let body = json!({"email": "alice@example.com"});
    app.visitor().post("/recover", body).await.ok();
    let grant = follow(&app, "recovery", &app.outbox.take_one()).await;
    let recovered = app.granted(&grant.ok());
    let refresh = async |token: &str| {
        let body = json!({"refresh_token": token});
        app.visitor()
            .post("/token?grant_type=refresh_token", body)
            .await
    };
    let refreshed = app.granted(&refresh(&recovered.refresh_token).await.ok());
    assert_eq!(claims(&refreshed)["aal"], "aal1");
    let change = refreshed
        .put("/user", json!({"password": NEW_PASSWORD}))
        .await;
    change.refused(401, Code::InsufficientAal);
    // The setting for those who want more: such a session ends soon.
    app.clock.advance(TimeDelta::seconds(601));
    let ended = refresh(&refreshed.refresh_token).await;
    ended.refused(400, Code::SessionExpired);
}

const OLD: &str = "alice@example.com";
const NEW: &str = "new@example.com";

/// Alice, who asks for another address; the mails to the old and the new one.
async fn changing(app: &TestApp) -> (Caller, Mail, Mail) {
    let alice = app.user(OLD).await;
    alice.put("/user", json!({"email": NEW})).await.ok();
    let mails = (mail(app, OLD), mail(app, NEW));
    assert!(app.outbox.is_empty());
    (alice, mails.0, mails.1)
}

async fn has_address(caller: &Caller, email: &str) {
    assert_eq!(caller.get("/user").await.ok()["email"], email);
}

#[tokio::test]
async fn attack_070_one_click_changes_no_address() {
    for (click, other) in [(OLD, NEW), (NEW, OLD)] {
        for by_code in [false, true] {
            let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
            let (alice, old, new) = changing(&app).await;
            let codes = if by_code {
                let old = code(&app, "email_change_current", OLD).await;
                [old, code(&app, "email_change_new", OLD).await]
            } else {
                Default::default()
            };
            let proof = async |address: &str| {
                let (mail, code) = match address {
                    OLD => (&old, &codes[0]),
                    _ => (&new, &codes[1]),
                };
                if !by_code {
                    return follow(&app, "email_change", mail).await;
                }
                let body = json!({"type": "email_change", "email": address, "token": code});
                app.visitor().post("/verify", body).await
            };
            let half = proof(click).await.ok();
            assert_eq!(half["access_token"], Value::Null, "{half}");
            has_address(&alice, OLD).await;
            // The same half twice is no whole.
            proof(click).await.refused(403, Code::OtpExpired);
            has_address(&alice, OLD).await;
            sign_in(&app, NEW, PASSWORD)
                .await
                .refused(400, Code::InvalidCredentials);
            let whole = app.granted(&proof(other).await.ok());
            has_address(&whole, NEW).await;
            sign_in(&app, OLD, PASSWORD)
                .await
                .refused(400, Code::InvalidCredentials);
        }
    }
}

#[tokio::test]
async fn attack_070_a_link_that_is_followed_twice_is_one_click() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let (alice, _, new) = changing(&app).await;
    let path = format!("/verify?type=email_change&token={}", token_hash(&new));
    for expected in ["message=", "error_code=otp_expired"] {
        let reply = app.visitor().get(&path).await;
        assert_eq!(reply.status, 303);
        let location = reply.header("location").unwrap();
        assert!(location.contains(expected), "{location}");
        assert!(!location.contains("access_token"), "{location}");
        has_address(&alice, OLD).await;
    }
}

#[tokio::test]
async fn attack_070_half_a_change_is_no_half_of_another() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let (alice, _, _) = changing(&app).await;
    let evil = "mallory@example.com";
    // Alice follows the link in her old mailbox; then somebody with her session asks for another address.
    alice.put("/user", json!({"email": NEW})).await.ok();
    let (old, stale) = (mail(&app, OLD), mail(&app, NEW));
    follow(&app, "email_change", &old).await.ok();
    alice.put("/user", json!({"email": evil})).await.ok();
    for stale in [&stale, &old] {
        let reply = follow(&app, "email_change", stale).await;
        reply.refused(403, Code::OtpExpired);
    }
    let half = follow(&app, "email_change", &mail(&app, evil)).await.ok();
    assert_eq!(half["access_token"], Value::Null, "{half}");
    has_address(&alice, OLD).await;
}

#[tokio::test]
async fn attack_070_mails_to_the_old_address_are_dead_after_the_change() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let (alice, old, new) = changing(&app).await;
    let body = json!({"email": OLD});
    app.visitor().post("/recover", body).await.ok();
    let recovery = app.outbox.take_one();
    alice.get("/reauthenticate").await.ok();
    for half in [&old, &new] {
        follow(&app, "email_change", half).await.ok();
    }
    has_address(&alice, NEW).await;
    for kind in ["recovery", "magiclink", "email"] {
        let reply = follow(&app, kind, &recovery).await;
        reply.refused(403, Code::OtpExpired);
    }
    for half in [&old, &new] {
        let again = follow(&app, "email_change", half).await;
        again.refused(403, Code::OtpExpired);
    }
    nothing_is_pending(&app).await;
}

/// No link of a user is alive. (Their hashes stay in the user's own columns, as in GoTrue, where nobody looks for links.)
async fn nothing_is_pending(app: &TestApp) {
    let pending = "SELECT count(*) FROM auth.one_time_tokens";
    let row = app.database().connect().await.query_one(pending, &[]).await;
    assert_eq!(row.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn attack_070_codes_to_the_old_address_are_dead_after_the_change() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let (_, old, new) = changing(&app).await;
    let code = code(&app, "recovery", OLD).await;
    for half in [&old, &new] {
        follow(&app, "email_change", half).await.ok();
    }
    for email in [OLD, NEW] {
        for kind in ["recovery", "magiclink", "email"] {
            let body = json!({"type": kind, "email": email, "token": code});
            let reply = app.visitor().post("/verify", body).await;
            reply.refused(403, Code::OtpExpired);
        }
    }
}

#[tokio::test]
async fn attack_070_mails_to_the_old_address_are_dead_after_an_administrator_changed_it() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let body = json!({"email": OLD, "password": PASSWORD});
    let id = app.visitor().post("/signup", body).await.ok()["id"].clone();
    let confirmation = app.outbox.take_one();
    let path = format!("/admin/users/{}", id.as_str().unwrap());
    let change = json!({"email": NEW});
    app.admin().put(&path, change).await.ok();
    for kind in ["signup", "email"] {
        let reply = follow(&app, kind, &confirmation).await;
        reply.refused(403, Code::OtpExpired);
    }
    nothing_is_pending(&app).await;
    sign_in(&app, NEW, PASSWORD)
        .await
        .refused(400, Code::EmailNotConfirmed);
}

/// One confirmation voids whatever else was sent.
#[tokio::test]
async fn attack_070_a_confirmation_voids_the_other_mails() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let (alice, old, new) = changing(&app).await;
    alice.get("/reauthenticate").await.ok();
    app.outbox.take_one();
    let body = json!({"email": OLD});
    app.visitor().post("/recover", body).await.ok();
    let recovery = app.outbox.take_one();
    follow(&app, "recovery", &recovery).await.ok();
    for half in [&old, &new] {
        let reply = follow(&app, "email_change", half).await;
        reply.refused(403, Code::OtpExpired);
    }
    nothing_is_pending(&app).await;
    has_address(&alice, OLD).await;
}

/// With autoconfirm GoTrue takes one click for both, whatever `MAILER_SECURE_EMAIL_CHANGE_ENABLED` says.
#[tokio::test]
async fn attack_070_with_autoconfirm_one_click_changes_the_address() {
    let app = TestApp::new().await;
    let (_, old, new) = changing(&app).await;
    let changed = app.granted(&follow(&app, "email_change", &new).await.ok());
    has_address(&changed, NEW).await;
    let other = follow(&app, "email_change", &old).await;
    other.refused(403, Code::OtpExpired);
}

/// Alice, in a session that is older than a day.
async fn old_session(app: &TestApp) -> Caller {
    let alice = app.user(OLD).await;
    app.clock.advance(TimeDelta::hours(25));
    let body = json!({"refresh_token": alice.refresh_token});
    let grant = alice.post("/token?grant_type=refresh_token", body).await;
    app.granted(&grant.ok())
}

#[tokio::test]
async fn attack_071_by_default_an_old_session_changes_the_password() {
    let app = TestApp::new().await;
    let alice = old_session(&app).await;
    let change = json!({"password": NEW_PASSWORD});
    alice.put("/user", change).await.ok();
}

#[tokio::test]
async fn attack_071_an_old_session_changes_no_password_where_settings_say_so() {
    let app = TestApp::with(|config| {
        config.security.update_password_require_reauthentication = true;
    })
    .await;
    let alice = old_session(&app).await;
    let change = async |caller: &Caller, nonce: &str| {
        let body = json!({"password": NEW_PASSWORD, "nonce": nonce});
        caller.put("/user", body).await
    };
    let nonce = async |caller: &Caller| {
        caller.get("/reauthenticate").await.ok();
        app.outbox.take_one().code().unwrap()
    };
    change(&alice, "")
        .await
        .refused(400, Code::ReauthenticationNeeded);
    change(&alice, "0000000")
        .await
        .refused(422, Code::ReauthenticationNotValid);
    // Nobody else's nonce, and none of another purpose.
    let bob = app.user("bob@example.com").await;
    let nonce_of_bob = nonce(&bob).await;
    change(&alice, &nonce_of_bob)
        .await
        .refused(422, Code::ReauthenticationNotValid);
    let code = code(&app, "recovery", OLD).await;
    change(&alice, code.as_str().unwrap())
        .await
        .refused(422, Code::ReauthenticationNotValid);
    // A token that names no session is no fresh session.
    let token = app.token(json!({
        "sub": alice.id, "aud": "authenticated", "role": "authenticated", "exp": "<unix:now+3600>"
    }));
    change(&app.bearer(token), "")
        .await
        .refused(400, Code::ReauthenticationNeeded);
    // Nor an old nonce.
    let late = nonce(&alice).await;
    let lifetime = TimeDelta::from_std(*app.config.mailer.otp_exp).unwrap();
    app.clock.advance(lifetime - TimeDelta::seconds(1));
    let body = json!({"refresh_token": alice.refresh_token});
    let grant = alice.post("/token?grant_type=refresh_token", body).await;
    let alice = app.granted(&grant.ok());
    app.clock.advance(TimeDelta::seconds(2));
    change(&alice, &late)
        .await
        .refused(422, Code::ReauthenticationNotValid);
    sign_in(&app, OLD, NEW_PASSWORD)
        .await
        .refused(400, Code::InvalidCredentials);

    let right = nonce(&alice).await;
    change(&alice, &right).await.ok();
    let again = json!({"password": PASSWORD, "nonce": right});
    let again = alice.put("/user", again).await;
    again.refused(422, Code::ReauthenticationNotValid);
    // Who has just signed in needs none.
    let fresh = app.granted(&sign_in(&app, OLD, NEW_PASSWORD).await.ok());
    let back = json!({"password": PASSWORD});
    fresh.put("/user", back).await.ok();
}

#[tokio::test]
async fn attack_071_a_stolen_session_does_not_know_the_password() {
    let app = TestApp::with(|config| {
        config.security.update_password_require_current_password = true;
    })
    .await;
    let alice = app.user(OLD).await;
    let change = async |current: Value| {
        let body = json!({"password": NEW_PASSWORD, "current_password": current});
        alice.put("/user", body).await
    };
    for current in [Value::Null, json!("")] {
        let reply = change(current).await;
        reply.refused(400, Code::CurrentPasswordRequired);
    }
    for current in ["wrong", NEW_PASSWORD, "correct-horse-1 "] {
        let reply = change(current.into()).await;
        reply.refused(400, Code::CurrentPasswordInvalid);
    }
    sign_in(&app, OLD, PASSWORD).await.ok();
    change(PASSWORD.into()).await.ok();
    sign_in(&app, OLD, PASSWORD)
        .await
        .refused(400, Code::InvalidCredentials);
}
