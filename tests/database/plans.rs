//! What requests ask Postgres is found by an index, however many users there are.
//!
//! The statements are not listed here: they are what the server keeps prepared on its only connection, where Postgres
//! knows their texts. A statement that a request gains tomorrow is explained tomorrow.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use truegate::config::Config;
use truegate::db::indexes;
use url::Url;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::provider::{Detour, Provider};
use crate::support::reply::Reply;

/// Rows enough for an index to be worth it, in each table that grows with users.
const SEED: &str = "
    set search_path to auth;
    insert into users (instance_id, id, aud, role, email, phone, created_at, updated_at, is_anonymous, confirmation_token,
        recovery_token, email_change_token_new, email_change_token_current, reauthentication_token, phone_change_token)
    select '00000000-0000-0000-0000-000000000000', md5('user' || n)::uuid, 'authenticated', 'authenticated',
        'user' || n || '@example.org', 49000000 + n, now() - n * interval '1 minute', now(), false, 'a' || n, 'b' || n, 'c' || n,
        'd' || n, 'e' || n, 'f' || n
    from generate_series(1, 5000) n;
    insert into identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
    select id::text, id, jsonb_build_object('sub', id, 'email', email), 'email', now(), now() from users;
    insert into sessions (id, user_id, created_at, updated_at, aal) select md5('session' || id)::uuid, id, now(), now(), 'aal1' from users;
    insert into mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
    select md5('claim' || id)::uuid, id, now(), now(), 'password' from sessions;
    insert into refresh_tokens (instance_id, token, user_id, revoked, parent, session_id, created_at, updated_at)
    select '00000000-0000-0000-0000-000000000000', 'token' || id, user_id::text, false, 'parent' || id, id, now(), now() from sessions;
    insert into mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
    select md5('factor' || id)::uuid, id, 'totp', 'verified', now(), now() from users;
    insert into one_time_tokens (id, user_id, token_type, token_hash, relates_to)
    select md5('once' || id)::uuid, id, 'recovery_token', 'b' || id, email from users;
    insert into flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type, authentication_method, created_at)
    select md5('flow' || id)::uuid, id, md5('code' || id), 's256', 'challenge', 'email', 'recovery', now() from users;
    insert into oauth_client_states (id, provider_type, code_verifier, created_at)
    select md5('verifier' || id)::uuid, 'x', 'verifier', now() from users;
    insert into custom_oauth_providers (provider_type, identifier, name, client_id, client_secret, issuer)
    select 'oidc', 'custom:' || id, 'some', 'client', 'secret', 'https://issuer.example.com' from users;
    insert into webauthn_credentials (user_id, credential_id, public_key) select id, id::text::bytea, 'key' from users;
    analyze";

/// What is read from its start to its end, and why that is well.
const SCANNED: [(&str, &str); 2] = [
    (
        "select count(*) ",
        "how many users there are; `auth/admin/totals.rs` remembers it where they are many",
    ),
    ("outbox", "few rows, and gone as soon as the mail is sent"),
];

/// An app with one connection, many users, and the indexes for lists.
async fn app(refresh_token_version: u32) -> TestApp {
    app_with(refresh_token_version, |_| {}).await
}

async fn app_with(refresh_token_version: u32, change: impl FnOnce(&mut Config)) -> TestApp {
    let app = TestApp::with(|config| {
        change(config);
        config.db.max_pool_size = 1;
        config.experimental.cursor_pagination_enabled = true;
        config.external.phone_enabled = true;
        config.mailer.autoconfirm = false;
        config.security.refresh_token_algorithm_version = refresh_token_version;
    })
    .await;
    let client = app.database().connect().await;
    client.batch_execute(SEED).await.unwrap();
    indexes::ensure(&client, None).await.unwrap();
    app
}

#[derive(QueryableByName)]
struct Prepared {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    statement: String,
    #[diesel(sql_type = Integer)]
    binds: i32,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    text: String,
}

/// Explains what the server's connection has prepared, for whatever values it is run with.
async fn assert_indexed(app: &TestApp) {
    let mut conn = app.db.get().await.unwrap();
    let prepared = "select name, statement, coalesce(cardinality(parameter_types), 0) as binds from pg_prepared_statements \
                    where statement ~* '^\\s*(select|insert|update|delete|with)' and statement !~ 'pg_prepared_statements'";
    let prepared: Vec<Prepared> = diesel::sql_query(prepared).load(&mut *conn).await.unwrap();
    assert!(prepared.len() >= 10, "only {} statements", prepared.len());
    diesel::sql_query("set plan_cache_mode to force_generic_plan")
        .execute(&mut *conn)
        .await
        .unwrap();
    let mut scans = Vec::new();
    for Prepared {
        name,
        statement,
        binds,
    } in prepared
    {
        if SCANNED.iter().any(|(part, _)| statement.contains(part)) {
            continue;
        }
        let binds = vec!["null"; binds.try_into().unwrap()];
        let binds = if binds.is_empty() {
            String::new()
        } else {
            format!("({})", binds.join(", "))
        };
        let plan: Vec<Line> = diesel::sql_query(format!("explain execute \"{name}\"{binds}"))
            .load(&mut *conn)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
        let plan: Vec<_> = plan.into_iter().map(|line| line.text).collect();
        if plan.iter().any(|line| line.contains("Seq Scan")) {
            scans.push(format!("{statement}\n{}", plan.join("\n")));
        }
    }
    assert!(
        scans.is_empty(),
        "read from start to end:\n{}",
        scans.join("\n\n")
    );
}

async fn sign_in(app: &TestApp, credentials: Value) -> Caller {
    let reply = app
        .visitor()
        .post("/token?grant_type=password", credentials)
        .await;
    app.granted(&reply.ok())
}

#[tokio::test]
async fn sessions_begin_go_on_and_end_by_indexes() {
    for version in [1, 2] {
        let app = app(version).await;
        let alice = app.user("alice@example.com").await;
        alice.get("/user").await.ok();
        let refresh = json!({"refresh_token": alice.refresh_token});
        for _ in 0..2 {
            // The second time, the token is known as used.
            alice
                .post("/token?grant_type=refresh_token", refresh.clone())
                .await
                .ok();
        }
        app.admin()
            .put(
                &format!("/admin/users/{}", alice.id),
                json!({"phone": "491234567", "phone_confirm": true}),
            )
            .await
            .ok();
        sign_in(&app, json!({"phone": "491234567", "password": PASSWORD})).await;
        for scope in ["others", "local", "global"] {
            let caller = sign_in(
                &app,
                json!({"email": "alice@example.com", "password": PASSWORD}),
            )
            .await;
            caller
                .post(&format!("/logout?scope={scope}"), Value::Null)
                .await
                .ok();
        }
        assert_indexed(&app).await;
    }
}

#[tokio::test]
async fn people_come_and_prove_who_they_are_by_indexes() {
    let app = app(2).await;
    let visitor = app.visitor();
    let ada = json!({"email": "ada@example.com", "password": PASSWORD});
    let send = async |path: &str, body: Value| visitor.post(path, body).await.ok();
    send("/signup", ada.clone()).await;
    follow(&app).await;
    // An address that is taken.
    send("/signup", ada.clone()).await;
    send(
        "/resend",
        json!({"type": "signup", "email": "ada@example.com"}),
    )
    .await;
    for (path, kind) in [
        ("/recover", "recovery"),
        ("/magiclink", "email"),
        ("/otp", "email"),
    ] {
        send(path, json!({"email": "ada@example.com"})).await;
        let hash = parameter(&app.outbox.take_one().link(), "token");
        send("/verify", json!({"type": kind, "token_hash": hash})).await;
    }
    let link = json!({"type": "magiclink", "email": "ada@example.com"});
    let link = app.admin().post("/admin/generate_link", link).await.ok();
    let code = &link["email_otp"];
    send(
        "/verify",
        json!({"type": "email", "email": "ada@example.com", "token": code}),
    )
    .await;

    let verifier = "a".repeat(43);
    let recover = json!({"email": "ada@example.com", "code_challenge": verifier, "code_challenge_method": "plain"});
    send("/recover", recover).await;
    let code = parameter(follow(&app).await.header("location").unwrap(), "code");
    send(
        "/token?grant_type=pkce",
        json!({"auth_code": code, "code_verifier": verifier}),
    )
    .await;

    let ada = sign_in(&app, ada).await;
    ada.put(
        "/user",
        json!({"email": "ada@example.net", "data": {"name": "Ada"}}),
    )
    .await
    .ok();
    ada.get("/reauthenticate").await.ok();
    ada.put("/user", json!({"password": "another-horse-2"}))
        .await
        .ok();
    assert_indexed(&app).await;
}

#[tokio::test]
async fn people_come_from_providers_by_indexes() {
    let provider = Provider::start().await;
    let app = app_with(2, |config| {
        config.security.manual_linking_enabled = true;
        provider.configure(config);
    })
    .await;
    // Nobody yet, somebody known, somebody by address, somebody with a code.
    for (sub, email) in [
        ("ada", "ada@example.com"),
        ("ada", "ada@example.com"),
        ("alan", "user7@example.org"),
    ] {
        provider.is_signed_in(sub, email, true);
        app.came_back(&Detour::make(&app).await);
    }
    let verifier = "a".repeat(43);
    let pkce = format!("&code_challenge={verifier}&code_challenge_method=plain");
    let reply = Detour::begin(&app, &pkce).await.end(&app).await;
    let code = parameter(reply.header("location").unwrap(), "code");
    let exchange = json!({"auth_code": code, "code_verifier": verifier});
    app.visitor()
        .post("/token?grant_type=pkce", exchange)
        .await
        .ok();
    // Not vouched for; invited; added to an account and taken away again.
    provider.is_signed_in("grace", "grace@example.com", false);
    Detour::make(&app).await;
    app.outbox.take_one();
    let invitation = json!({"email": "edsger@example.com"});
    app.admin().post("/invite", invitation).await.ok();
    let token = parameter(&app.outbox.take_one().link(), "token");
    provider.is_signed_in("edsger", "edsger@example.com", true);
    let detour = Detour::begin(&app, &format!("&invite_token={token}")).await;
    app.came_back(&detour.end(&app).await);
    let alice = app.user("alice@example.com").await;
    provider.is_signed_in("alice", "other@example.com", true);
    let path = "/user/identities/authorize?provider=keycloak";
    let detour = Detour::of(&alice.get(path).await);
    let alice = app.came_back(&detour.end(&app).await);
    let identity = &alice.get("/user").await.ok()["identities"][1]["identity_id"];
    let path = format!("/user/identities/{}", identity.as_str().unwrap());
    alice.call("DELETE", &path, None).await.ok();
    assert_indexed(&app).await;
}

/// Opens the link of the one mail that was sent.
async fn follow(app: &TestApp) -> Reply {
    let link = app.outbox.take_one().link();
    let path = link.split_once("example.com").unwrap().1;
    let reply = app.visitor().get(path).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    reply
}

/// A parameter of a link's query.
fn parameter(link: &str, name: &str) -> String {
    let link = Url::parse(link).unwrap();
    let found = link.query_pairs().find(|(key, _)| key == name);
    found.expect("it is there").1.into_owned()
}

#[tokio::test]
async fn administrators_list_and_change_users_by_indexes() {
    let app = app(1).await;
    let admin = app.admin();
    for order in ["asc", "desc"] {
        for query in [
            "page=2&per_page=10",
            "page=1&filter=user1",
            "limit=10",
            "filter=user1",
        ] {
            let path = format!("/admin/users?sort=created_at%20{order}&{query}");
            let list = admin.get(&path).await.ok();
            if let Some(cursor) = list["pagination"]["next_cursor"].as_str() {
                admin.get(&format!("{path}&cursor={cursor}")).await.ok();
            }
        }
    }
    admin
        .post("/invite", json!({"email": "grace@example.com"}))
        .await
        .ok();
    for (kind, who) in [
        ("signup", "ada"),
        ("magiclink", "ada"),
        ("recovery", "ada"),
        ("invite", "alan"),
    ] {
        let link =
            json!({"type": kind, "email": format!("{who}@example.com"), "password": PASSWORD});
        admin.post("/admin/generate_link", link).await.ok();
    }
    for softly in [true, false] {
        let user = app.user(&format!("{softly}@example.com")).await;
        let path = format!("/admin/users/{}", user.id);
        admin.get(&path).await.ok();
        admin.get(&format!("{path}/factors")).await.ok();
        let changes =
            json!({"email": format!("new-{softly}@example.com"), "password": "another-horse-2"});
        admin.put(&path, changes).await.ok();
        admin
            .call("DELETE", &path, Some(json!({"should_soft_delete": softly})))
            .await
            .ok();
    }
    assert_indexed(&app).await;
}
