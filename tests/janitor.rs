//! What `GOTRUE_DB_CLEANUP_ENABLED` removes, and what it leaves.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use truegate::clock::Clock as _;
use truegate::config::Config;
use truegate::workers::janitor::{clean, run};

use crate::support::app::TestApp;

/// Pairs of rows on both sides of each limit. Those whose id says `stale` are to go. `now` is the app's time.
const ROWS: &str = "
    create function pg_temp.id(name text) returns uuid language sql as 'select md5(name)::uuid';
    create temporary table named (name text);
    insert into named values ('live'), ('ended 71h ago'), ('stale: ended 73h ago'), ('ended 23h ago'), ('old 7d 23h'),
        ('stale: old 8d 1h'), ('idle 3d 23h'), ('stale: idle 4d 1h'), ('new, idle 3d 23h'), ('stale: new, idle 4d 1h'),
        ('revoked 23h ago'), ('stale: revoked 25h ago'), ('23h'), ('stale: 25h'), ('verified 25h'), ('expires'),
        ('stale: expired'), ('anonymous 29d'), ('stale: anonymous 31d'), ('known 31d'), ('user');
    insert into users (id, created_at, is_anonymous) values (pg_temp.id('user'), :now, false),
        (pg_temp.id('anonymous 29d'), :now - interval '29 days', true),
        (pg_temp.id('stale: anonymous 31d'), :now - interval '31 days', true),
        (pg_temp.id('known 31d'), :now - interval '31 days', false);
    insert into sessions (id, user_id, created_at, refreshed_at, not_after)
    select pg_temp.id(name), pg_temp.id('user'), :now - created, (:now - refreshed) at time zone 'utc', :now - ended
    from (values
        ('live', interval '0', interval '0', null::interval),
        ('ended 23h ago', '0', '0', '23 hours'), ('ended 71h ago', '0', '0', '71 hours'), ('stale: ended 73h ago', '0', '0', '73 hours'),
        ('old 7d 23h', '7 days 23 hours', '0', null), ('stale: old 8d 1h', '8 days 1 hour', '0', null),
        ('idle 3d 23h', '5 days', '3 days 23 hours', null), ('stale: idle 4d 1h', '5 days', '4 days 1 hour', null),
        ('new, idle 3d 23h', '5 days', null, null), ('stale: new, idle 4d 1h', '5 days', null, null)
    ) s (name, created, refreshed, ended);
    insert into refresh_tokens (token, user_id, session_id, revoked, updated_at)
    select name, pg_temp.id('user'), pg_temp.id(session), name like '%revoked%', :now - age
    from (values
        ('revoked 23h ago', 'live', interval '23 hours'), ('stale: revoked 25h ago', 'live', '25 hours'),
        ('ended 23h ago', 'ended 23h ago', '0'), ('ended 71h ago', 'ended 71h ago', '0'),
        ('new, idle 3d 23h', 'new, idle 3d 23h', '3 days 23 hours'), ('stale: new, idle 4d 1h', 'stale: new, idle 4d 1h', '4 days 1 hour')
    ) t (name, session, age);
    insert into sso_providers (id) values (pg_temp.id('provider'));
    insert into mfa_factors (id, user_id, factor_type, status, created_at, updated_at) values
        (pg_temp.id('23h'), pg_temp.id('user'), 'totp', 'unverified', :now - interval '23 hours', :now),
        (pg_temp.id('stale: 25h'), pg_temp.id('user'), 'totp', 'unverified', :now - interval '25 hours', :now),
        (pg_temp.id('verified 25h'), pg_temp.id('user'), 'totp', 'verified', :now - interval '25 hours', :now);
    create temporary table aged as select pg_temp.id(name) as id, :now - age as created_at
        from (values ('23h', interval '23 hours'), ('stale: 25h', '25 hours')) a (name, age);
    insert into saml_relay_states (id, sso_provider_id, request_id, created_at) select id, pg_temp.id('provider'), id::text, created_at from aged;
    insert into flow_state (id, provider_type, authentication_method, created_at) select id, 'email', 'otp', created_at from aged;
    insert into oauth_client_states (id, provider_type, created_at) select id, 'x', created_at from aged;
    insert into mfa_challenges (id, factor_id, ip_address, created_at) select id, pg_temp.id('verified 25h'), '::1', created_at from aged;
    insert into webauthn_challenges (id, challenge_type, session_data, expires_at) values
        (pg_temp.id('expires'), 'signup', '{}', :now + interval '1 second'),
        (pg_temp.id('stale: expired'), 'signup', '{}', :now - interval '1 second');";

/// Every row, as `table: name`.
const FOUND: &str = "
    select kind || ': ' || coalesce(named.name, token) from (
        select 'users' as kind, id, null as token from users union all select 'sessions', id, null from sessions
        union all select 'refresh_tokens', null, token || case when revoked then '' else ', good' end from refresh_tokens
        union all select 'saml_relay_states', id, null from saml_relay_states
        union all select 'flow_state', id, null from flow_state
        union all select 'oauth_client_states', id, null from oauth_client_states
        union all select 'mfa_challenges', id, null from mfa_challenges
        union all select 'mfa_factors', id, null from mfa_factors
        union all select 'webauthn_challenges', id, null from webauthn_challenges
    ) rows left join named on pg_temp.id(named.name) = id";

const LEFT: [&str; 20] = [
    "flow_state: 23h",
    "mfa_challenges: 23h",
    "mfa_factors: 23h",
    "mfa_factors: verified 25h",
    "oauth_client_states: 23h",
    "refresh_tokens: ended 23h ago, good",
    // Its session ended a day ago, so it is revoked.
    "refresh_tokens: ended 71h ago",
    "refresh_tokens: new, idle 3d 23h, good",
    "refresh_tokens: revoked 23h ago",
    "saml_relay_states: 23h",
    "sessions: ended 23h ago",
    "sessions: ended 71h ago",
    "sessions: idle 3d 23h",
    "sessions: live",
    "sessions: new, idle 3d 23h",
    "sessions: old 7d 23h",
    "users: anonymous 29d",
    "users: known 31d",
    "users: user",
    "webauthn_challenges: expires",
];

async fn rows(client: &Client) -> Vec<String> {
    let mut found: Vec<String> = client
        .query(FOUND, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    found.sort();
    found
}

/// An app, and a connection to look at its rows with.
async fn app(change: impl FnOnce(&mut Config)) -> (TestApp, Client) {
    let app = TestApp::with(change).await;
    let client = app.database().connect().await;
    client
        .batch_execute("set search_path to auth")
        .await
        .unwrap();
    (app, client)
}

#[tokio::test]
async fn what_is_stale_goes_and_nothing_else() {
    let days = |days: u64| Some(Duration::from_hours(24 * days));
    let (app, client) = app(|config| {
        config.external.anonymous_users_enabled = true;
        config.sessions.timebox = days(7);
        config.sessions.inactivity_timeout = days(3);
    })
    .await;
    let now = format!("timestamptz '{}'", app.clock.now());
    client
        .batch_execute(&ROWS.replace(":now", &now))
        .await
        .unwrap();
    assert!(clean(&app).await.unwrap());
    assert_eq!(rows(&client).await, LEFT);
}

#[tokio::test]
async fn sessions_and_guests_without_limits_are_kept() {
    let (app, client) = app(|_| {}).await;
    let now = format!("timestamptz '{}'", app.clock.now());
    client
        .batch_execute(&ROWS.replace(":now", &now))
        .await
        .unwrap();
    clean(&app).await.unwrap();
    let left = rows(&client).await;
    let stale: Vec<&String> = left.iter().filter(|row| row.contains("stale")).collect();
    assert_eq!(
        stale,
        [
            "refresh_tokens: stale: new, idle 4d 1h, good",
            "sessions: stale: idle 4d 1h",
            "sessions: stale: new, idle 4d 1h",
            "sessions: stale: old 8d 1h",
            "users: stale: anonymous 31d",
        ]
    );
}

/// Refresh tokens that are revoked since yesterday.
async fn insert_stale(client: &Client, count: i64) {
    let sql = format!(
        "insert into refresh_tokens (token, revoked, updated_at) select n, true, now() - interval '25 hours' from generate_series(1, {count}) n"
    );
    client.batch_execute(&sql).await.unwrap();
}

async fn tokens(client: &Client) -> i64 {
    let sql = "select count(*) from refresh_tokens";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_round_takes_some_and_waits_for_nobody() {
    let (app, client) = app(|_| {}).await;
    insert_stale(&client, 250).await;
    let mut left = Vec::new();
    for _ in 0..3 {
        let is_done = clean(&app).await.unwrap();
        left.push((tokens(&client).await, is_done));
    }
    assert_eq!(left, [(150, false), (50, false), (0, true)]);

    insert_stale(&client, 2).await;
    let hold = "begin; select from refresh_tokens where token = '1' for update";
    client.batch_execute(hold).await.unwrap();
    let cleaned = timeout(Duration::from_secs(30), clean(&app)).await;
    assert!(cleaned.unwrap().unwrap());
    assert_eq!(tokens(&client).await, 1);
}

#[tokio::test]
async fn the_worker_heeds_the_switch_and_ends_with_the_server() {
    let (app, client) = app(|_| {}).await;
    insert_stale(&client, 250).await;
    run(app.clone(), CancellationToken::new()).await;
    assert_eq!(tokens(&client).await, 250);

    let (app, client) = self::app(|config| config.db.cleanup_enabled = true).await;
    insert_stale(&client, 250).await;
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(run(app.clone(), shutdown.clone()));
    let ended = async {
        while tokens(&client).await > 0 {}
        shutdown.cancel();
        worker.await.unwrap();
    };
    timeout(Duration::from_secs(30), ended).await.unwrap();
}
