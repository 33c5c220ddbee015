//! Most refreshes are decided by one statement, the others by reading first: both decide alike.

use serde_json::{Value, json};
use truegate::config::Config;

use crate::support::app::{Caller, TestApp};

/// What stands in the database before the refresh, beside a user with a session.
struct Case {
    name: &'static str,
    sql: &'static str,
    settings: fn(&mut Config),
    /// Which statement does it, where requests may share one.
    at_once: bool,
}

const fn case(name: &'static str, sql: &'static str, at_once: bool) -> Case {
    with(name, sql, |_| {}, at_once)
}

const fn with(
    name: &'static str,
    sql: &'static str,
    settings: fn(&mut Config),
    at_once: bool,
) -> Case {
    Case {
        name,
        sql,
        settings,
        at_once,
    }
}

/// The clock of the tests stands at the machine's time, which is `now()`.
const CASES: &[Case] = &[
    case("plain", "", true),
    case(
        "names for the log",
        "update users set phone = '4912345', is_sso_user = true, raw_user_meta_data = '{\"full_name\": \"Alice <A> \\\"Ä\\\"\"}'",
        true,
    ),
    case(
        "no name at all",
        "update users set email = null, phone = null, raw_user_meta_data = null",
        true,
    ),
    case(
        "banned",
        "update users set banned_until = now() + interval '1 hour'",
        false,
    ),
    case(
        "was banned",
        "update users set banned_until = now() - interval '1 hour'",
        true,
    ),
    case(
        "of another instance",
        "update users set instance_id = gen_random_uuid()",
        false,
    ),
    case(
        "ended",
        "update sessions set not_after = now() - interval '1 hour'",
        false,
    ),
    case(
        "ends later",
        "update sessions set not_after = now() + interval '1 hour'",
        true,
    ),
    case(
        "session of an OAuth client",
        "with c as (insert into oauth_clients (id, registration_type, redirect_uris, grant_types, token_endpoint_auth_method) \
             values (gen_random_uuid(), 'dynamic', 'https://a.example', 'authorization_code', 'none') returning id) \
             update sessions set oauth_client_id = c.id from c",
        false,
    ),
    with("in the timebox", "", timebox, true),
    with(
        "past the timebox",
        "update sessions set created_at = now() - interval '2 hours'",
        timebox,
        false,
    ),
    with("in use", "", inactivity, true),
    with(
        "not in use for long",
        "update sessions set created_at = now() - interval '3 hours', refreshed_at = (now() - interval '2 hours') at time zone 'UTC'",
        inactivity,
        false,
    ),
    with(
        "never in use for long",
        "update sessions set created_at = now() - interval '3 hours'; \
             update refresh_tokens set created_at = now() - interval '3 hours', updated_at = now() - interval '3 hours'",
        inactivity,
        false,
    ),
    with(
        "used lately, but not noted on the session",
        "update sessions set created_at = now() - interval '3 hours'; update refresh_tokens set updated_at = now()",
        inactivity,
        true,
    ),
    with(
        "without audit log",
        "",
        |config| config.audit_log.disable_postgres = true,
        true,
    ),
    with(
        "without rotation",
        "",
        |config| config.security.refresh_token_rotation_enabled = false,
        true,
    ),
    with(
        "one session per user",
        "",
        |config| config.sessions.single_per_user = true,
        false,
    ),
    with(
        "low level with a second factor",
        "insert into mfa_factors (id, user_id, factor_type, status, created_at, updated_at) \
             select gen_random_uuid(), id, 'totp', 'verified', now(), now() from users; \
             update sessions set created_at = now() - interval '3 hours'",
        |config| config.sessions.allow_low_aal = Some(std::time::Duration::from_hours(1)),
        false,
    ),
    case("no session", "delete from sessions", false),
    case("no user", "delete from users", false),
    case(
        "a key that nobody can read",
        "update sessions set refresh_token_hmac_key = 'x' where refresh_token_counter is not null",
        true,
    ),
    case(
        "a key of another length",
        "update sessions set refresh_token_hmac_key = 'AAAA' where refresh_token_counter is not null",
        true,
    ),
    case(
        "a key that is another's",
        "update sessions set refresh_token_hmac_key = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' where refresh_token_counter is not null",
        true,
    ),
    case(
        "used just now",
        "update refresh_tokens set revoked = true; update sessions set refresh_token_counter = refresh_token_counter + 1",
        false,
    ),
    case(
        "used long ago",
        "update refresh_tokens set revoked = true, updated_at = now() - interval '1 hour'; \
             update sessions set refresh_token_counter = refresh_token_counter + 5, refreshed_at = (now() - interval '1 hour') at time zone 'UTC'",
        false,
    ),
    case(
        "not yet issued",
        "update sessions set refresh_token_counter = -1 where refresh_token_counter is not null",
        true,
    ),
];

fn timebox(config: &mut Config) {
    config.sessions.timebox = Some(std::time::Duration::from_hours(1));
}

fn inactivity(config: &mut Config) {
    config.sessions.inactivity_timeout = Some(std::time::Duration::from_hours(1));
}

/// All that a refresh may change, without what is random; times as distances from the machine's.
const ROWS: &str = "select json_build_object( \
    'tokens', (select json_agg(json_build_array(revoked, parent is null, user_id = (select id::text from users), session_id is null, \
        updated_at > now() - interval '10 minutes') order by id) from refresh_tokens), \
    'sessions', (select json_agg(json_build_array(refresh_token_counter, user_agent, ip, aal, \
        refreshed_at > (now() - interval '10 minutes') at time zone 'UTC', updated_at > now() - interval '10 minutes')) from sessions), \
    'log', (select json_agg(json_build_array(payload::jsonb - 'actor_id', payload->>'actor_id' = (select id::text from users), ip_address, \
        instance_id) order by created_at, payload->>'action') from audit_log_entries where payload->>'action' like 'token%'))::text";

/// Answer and rows of one refresh in this state.
async fn refreshed(case: &Case, version: u32, batch: bool) -> (Value, Value) {
    let app = TestApp::with(|config| {
        config.security.refresh_token_algorithm_version = version;
        (case.settings)(config);
        config.truegate.batch = batch;
    })
    .await;
    let alice = app.user("alice@example.com").await;
    app.clock.catch_up();
    let rows = app.database().connect().await;
    rows.batch_execute(&format!("set search_path = auth; {}", case.sql))
        .await
        .unwrap();
    let answer = refresh(&alice).await;
    let rows: String = rows.query_one(ROWS, &[]).await.unwrap().get(0);
    (answer, serde_json::from_str(&rows).unwrap())
}

async fn refresh(caller: &Caller) -> Value {
    let reply = caller
        .post(
            "/token?grant_type=refresh_token",
            json!({"refresh_token": caller.refresh_token}),
        )
        .await;
    let mut body = reply.json();
    for random in [
        "access_token",
        "refresh_token",
        "expires_at",
        "error_id",
        "user",
    ] {
        if let Some(value) = body.get_mut(random) {
            *value = Value::Bool(true);
        }
    }
    let named = |name: &str| match reply.header(name) {
        Some(text) if name.contains("token-re") || name.contains("counter") => json!(text),
        other => json!(other.is_some()),
    };
    let headers = [
        "user-id",
        "session-id",
        "refresh-token-reuse",
        "refresh-token-counter",
        "refresh-token-prefix",
    ];
    let headers: Vec<Value> = headers
        .iter()
        .map(|name| named(&format!("sb-auth-{name}")))
        .collect();
    json!({ "status": reply.status.as_u16(), "body": body, "headers": headers })
}

#[tokio::test]
async fn one_statement_decides_as_careful_reading_does() {
    for case in CASES {
        for version in [1, 2] {
            let careful = refreshed(case, version, false).await;
            let at_once = refreshed(case, version, true).await;
            assert_eq!(at_once, careful, "{}, version {version}", case.name);
            if case.at_once && version == 1 {
                assert_eq!(careful.0["status"], 200, "{}: {careful:?}", case.name);
            }
        }
    }
}
