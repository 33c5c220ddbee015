//! Two requests at once: whatever their order, the answers and the rows fit together.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use truegate::error::Code;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::provider::{Detour, Provider};
use crate::support::reply::Reply;

/// How often a race of two is run.
const ROUNDS: usize = 25;

async fn refresh(caller: &Caller, token: &str) -> Reply {
    caller
        .post(
            "/token?grant_type=refresh_token",
            json!({"refresh_token": token}),
        )
        .await
}

/// One token, refreshed many times at once: everybody gets the same successor.
async fn refresh_against_refresh(app: &TestApp, times: usize) {
    let alice = app.user("alice@example.com").await;
    let replies = join_all((0..times).map(async |_| {
        loop {
            let reply = refresh(&alice, &alice.refresh_token).await;
            // Who waits in vain for the others is asked to come again.
            if reply.status != 409 {
                return reply;
            }
        }
    }))
    .await;
    let mut successors: Vec<Value> = replies
        .iter()
        .map(|reply| reply.ok()["refresh_token"].clone())
        .collect();
    successors.sort_by_key(Value::to_string);
    successors.dedup();
    assert_eq!(successors.len(), 1, "one successor: {successors:?}");
    assert_ne!(successors[0], alice.refresh_token.as_str());
    refresh(&alice, successors[0].as_str().unwrap()).await.ok();
    assert_eq!(app.count("SELECT count(*) FROM auth.sessions").await, 1);
}

/// Who asks for the address that the account had a moment ago asks for nothing, and takes no change back.
#[tokio::test]
async fn a_change_of_address_is_not_undone_by_who_saw_the_old_one() {
    let app = TestApp::new().await;
    let ann = app.user("ann@example.com").await;
    let mut rows = app.database().connect().await;
    let owner = rows.transaction().await.unwrap();
    let change = "update auth.users set email = 'new@example.com', phone = '15550001'";
    owner.execute(change, &[]).await.unwrap();
    let waits = "select exists (select from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid)))";
    let stale = json!({"email": "ann@example.com", "data": {"a": 1}});
    let (reply, ()) = join(ann.put("/user", stale), async {
        while !owner.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {}
        owner.commit().await.unwrap();
    })
    .await;
    reply.ok();
    let user = ann.get("/user").await.ok();
    assert_eq!(
        (&user["email"], &user["user_metadata"]["a"]),
        (&json!("new@example.com"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_refreshes_of_one_token_get_one_successor() {
    refresh_against_refresh(&TestApp::new().await, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_041_a_hundred_refreshes_of_one_token_get_one_successor() {
    let app = TestApp::new().await;
    refresh_against_refresh(&app, 100).await;
    assert_eq!(
        app.count("SELECT count(*) FROM auth.refresh_tokens WHERE NOT revoked")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_041_a_hundred_refreshes_of_one_v2_token_get_one_successor() {
    let app = TestApp::with(|config| config.security.refresh_token_algorithm_version = 2).await;
    refresh_against_refresh(&app, 100).await;
    // One step for the hundred, one for the refresh of their successor.
    assert_eq!(
        app.count("SELECT refresh_token_counter FROM auth.sessions")
            .await,
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_045_nothing_refreshes_after_a_logout() {
    for version in [1, 2] {
        let app =
            TestApp::with(|config| config.security.refresh_token_algorithm_version = version).await;
        for round in 0..ROUNDS {
            let alice = app.user(&format!("alice{round}@example.com")).await;
            let (refreshed, left) = join(
                refresh(&alice, &alice.refresh_token),
                alice.post("/logout", Value::Null),
            )
            .await;
            assert_eq!(left.status, 204, "{left:?}");
            assert!(
                refreshed.status.is_success() || refreshed.status.is_client_error(),
                "{refreshed:?}"
            );
            let mut tokens = vec![alice.refresh_token.clone()];
            if refreshed.status.is_success() {
                tokens.push(refreshed.ok()["refresh_token"].as_str().unwrap().to_owned());
            }
            for token in tokens {
                refresh(&alice, &token)
                    .await
                    .refused(400, Code::RefreshTokenNotFound);
            }
        }
        assert_eq!(app.count("SELECT count(*) FROM auth.sessions").await, 0);
        assert_eq!(
            app.count("SELECT count(*) FROM auth.refresh_tokens").await,
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_followed_once() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    for round in 0..ROUNDS {
        let email = format!("alice{round}@example.com");
        app.visitor()
            .post("/signup", json!({"email": email, "password": PASSWORD}))
            .await
            .ok();
        let link = url::Url::parse(&app.outbox.take_one().link()).unwrap();
        let (_, token) = link
            .query_pairs()
            .find(|(name, _)| name == "token")
            .unwrap();
        let verify = || async {
            app.visitor()
                .post("/verify", json!({"type": "signup", "token_hash": token}))
                .await
        };
        let (one, other) = join(verify(), verify()).await;
        let (won, lost) = if one.status.is_success() {
            (one, other)
        } else {
            (other, one)
        };
        won.ok();
        lost.refused(403, Code::OtpExpired);
    }
    assert_eq!(
        usize::try_from(app.count("SELECT count(*) FROM auth.sessions").await),
        Ok(ROUNDS)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_076_fifty_sign_ups_with_one_address_make_one_user() {
    for autoconfirm in [true, false] {
        let app = TestApp::with(|config| config.mailer.autoconfirm = autoconfirm).await;
        let replies = join_all((0..50).map(async |turn| {
            let email = if turn % 2 == 0 {
                "Alice@Example.com"
            } else {
                "alice@example.com"
            };
            app.visitor()
                .post("/signup", json!({"email": email, "password": PASSWORD}))
                .await
        }))
        .await;
        let (made, refused): (Vec<_>, Vec<_>) =
            replies.iter().partition(|reply| reply.status.is_success());
        assert!(!made.is_empty());
        assert!(made.len() == 1 || !autoconfirm);
        for reply in refused {
            reply.refused(422, Code::UserAlreadyExists);
        }
        assert_eq!(app.count("SELECT count(*) FROM auth.users").await, 1);
        assert_eq!(app.count("SELECT count(*) FROM auth.identities").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sign_ups_with_one_address_make_one_user() {
    let app = TestApp::new().await;
    for round in 0..ROUNDS {
        let sign_up = async || {
            let body = json!({"email": format!("alice{round}@example.com"), "password": PASSWORD});
            app.visitor().post("/signup", body).await
        };
        let (one, other) = join(sign_up(), sign_up()).await;
        let (won, lost) = if one.status.is_success() {
            (one, other)
        } else {
            (other, one)
        };
        won.ok();
        lost.refused(422, Code::UserAlreadyExists);
    }
    assert_eq!(
        usize::try_from(app.count("SELECT count(*) FROM auth.users").await),
        Ok(ROUNDS)
    );
}

/// A password that GoTrue has hashed is hashed anew by the first of many sign-ins: the others are right as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_at_once_with_an_old_hash_all_succeed() {
    // bcrypt of "imported-secret-1", at the least cost.
    const HASH: &str = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let app = TestApp::new().await;
    for round in 0..5 {
        let email = format!("ann{round}@example.com");
        let user = json!({"email": email, "password_hash": HASH, "email_confirm": true});
        app.admin().post("/admin/users", user).await.ok();
        let login = json!({"email": email, "password": "imported-secret-1"});
        let visitor = app.visitor();
        let sign_ins = (0..4).map(|_| visitor.post("/token?grant_type=password", login.clone()));
        for reply in join_all(sign_ins).await {
            reply.ok();
        }
    }
}

/// Somebody comes back from a provider many times at once: it is one account, with one identity.
async fn come_back_at_once(app: &TestApp, times: usize) -> Vec<Caller> {
    let mut detours = Vec::new();
    for _ in 0..times {
        detours.push(Detour::begin(app, "").await);
    }
    let replies = join_all(detours.iter().map(|detour| detour.end(app))).await;
    let callers: Vec<Caller> = replies.iter().map(|reply| app.came_back(reply)).collect();
    assert!(callers.iter().all(|caller| caller.id == callers[0].id));
    callers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_from_a_provider_many_times_at_once_is_one() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    for round in 0..5 {
        let email = format!("newcomer{round}@example.com");
        provider.is_signed_in(&email, &email, true);
        come_back_at_once(&app, 20).await;
        let of_provider = "SELECT count(*) FROM auth.identities WHERE provider = 'keycloak'";
        assert_eq!(app.count(of_provider).await, round + 1);
        assert_eq!(
            app.count("SELECT count(*) FROM auth.users").await,
            round + 1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_up_and_comes_from_a_provider_at_once_is_one() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    for round in 0..ROUNDS {
        let email = format!("newcomer{round}@example.com");
        provider.is_signed_in(&email, &email, true);
        let detour = Detour::begin(&app, "").await;
        let visitor = app.visitor();
        let account = json!({"email": email, "password": PASSWORD});
        let (reply, _) = join(detour.end(&app), visitor.post("/signup", account)).await;
        let caller = app.came_back(&reply);
        assert_eq!(caller.get("/user").await.ok()["email"], email.as_str());
        let users = format!("SELECT count(*) FROM auth.users WHERE email = '{email}'");
        assert_eq!(app.count(&users).await, 1);
    }
}
