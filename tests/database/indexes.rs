//! The indexes for lists of users: built beside the traffic, once, and harmlessly where that cannot be.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use truegate::config::Config;
use truegate::db::indexes::{Outcome, ensure};
use truegate::error::Code;
use truegate::workers::indexes::run;

use super::catalog::{describe, golden};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Database;

const ALL: Outcome = Outcome::Built {
    built: 4,
    failed: 0,
};

/// As GoTrue's index worker leaves them (its `internal/indexworker`), in Postgres' words.
const DEFINITIONS: [&str; 4] = [
    "CREATE INDEX idx_users_created_at_desc ON users USING btree (created_at DESC)",
    "CREATE INDEX idx_users_email ON users USING btree (email)",
    "CREATE INDEX idx_users_last_sign_in_at_desc ON users USING btree (last_sign_in_at DESC)",
    "CREATE INDEX idx_users_name ON users USING btree ((raw_user_meta_data ->> 'name'::text)) \
     WHERE (raw_user_meta_data ->> 'name'::text) IS NOT NULL",
];

/// A connection such as the worker has.
async fn direct(database: &Database) -> Client {
    let client = database.connect().await;
    client
        .batch_execute("set search_path to auth")
        .await
        .unwrap();
    client
}

/// The indexes that the migrations did not make, as `definition, valid true, ..`.
async fn extra(client: &Client) -> Vec<String> {
    let found = describe(client, "auth").await;
    let expected: BTreeSet<String> = golden().await;
    found.difference(&expected).cloned().collect()
}

/// How many of them are there and of use.
async fn valid(client: &Client) -> i64 {
    let sql = "select count(*) from pg_index where indisvalid and indexrelid::regclass::text ~ '^(auth\\.)?idx_users_'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn they_are_those_of_gotrue_and_built_once() {
    let database = Database::new().await;
    let client = direct(&database).await;
    assert_eq!(ensure(&client, None).await.unwrap(), ALL);
    let wanted =
        DEFINITIONS.map(|index| format!("index {index}, valid t, clustered f, comment NULL"));
    assert_eq!(extra(&client).await, wanted);
    assert_eq!(ensure(&client, None).await.unwrap(), Outcome::Complete);
}

#[tokio::test]
async fn what_broke_off_is_built_anew() {
    let database = Database::new().await;
    let client = direct(&database).await;
    ensure(&client, None).await.unwrap();
    let broken = "update pg_index set indisvalid = false where indexrelid = 'idx_users_email'::regclass; \
                  drop index idx_users_name";
    client.batch_execute(broken).await.unwrap();
    let two = Outcome::Built {
        built: 2,
        failed: 0,
    };
    assert_eq!(ensure(&client, None).await.unwrap(), two);
    assert_eq!(valid(&client).await, 4);
}

#[tokio::test]
async fn of_two_servers_one_builds() {
    let database = Database::new().await;
    let (one, other) = (direct(&database).await, direct(&database).await);
    let outcomes = join(ensure(&one, None), ensure(&other, None)).await;
    let outcomes = [outcomes.0.unwrap(), outcomes.1.unwrap()];
    assert!(outcomes.contains(&ALL), "{outcomes:?}");
    assert!(
        outcomes.contains(&Outcome::UnderWay) || outcomes.contains(&Outcome::Complete),
        "{outcomes:?}"
    );
    assert_eq!(valid(&one).await, 4);

    // The lock is given back, and heeded.
    client_lock(&one, "pg_advisory_lock").await;
    one.batch_execute("drop index idx_users_email")
        .await
        .unwrap();
    assert_eq!(ensure(&other, None).await.unwrap(), Outcome::UnderWay);
    client_lock(&one, "pg_advisory_unlock").await;
    ensure(&other, None).await.unwrap();
    assert_eq!(valid(&one).await, 4);
}

async fn client_lock(client: &Client, function: &str) {
    let sql = format!("select {function}(hashtext('auth_index_worker')::bigint)");
    client.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_role_without_rights_leaves_nothing_behind() {
    let database = Database::new().await;
    let client = direct(&database).await;
    let role = format!("truegate_test_indexes_{}", std::process::id());
    let stranger =
        format!("create role {role}; grant usage on schema auth to {role}; set role {role}");
    client.batch_execute(&stranger).await.unwrap();
    let none = Outcome::Built {
        built: 0,
        failed: 4,
    };
    assert_eq!(ensure(&client, None).await.unwrap(), none);
    let end = format!("reset role; drop owned by {role}; drop role {role}");
    client.batch_execute(&end).await.unwrap();
    assert_eq!(extra(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn one_that_cannot_be_built_does_not_stop_the_others() {
    let database = Database::new().await;
    let client = direct(&database).await;
    // Longer than what an index can hold, and not to be compressed.
    let long = "insert into users (id, raw_user_meta_data) select gen_random_uuid(), jsonb_build_object('name', \
                string_agg(gen_random_uuid()::text, '')) from generate_series(1, 300)";
    client.batch_execute(long).await.unwrap();
    let three = Outcome::Built {
        built: 3,
        failed: 1,
    };
    assert_eq!(ensure(&client, None).await.unwrap(), three);
    assert_eq!(extra(&client).await.len(), 3);
}

#[tokio::test]
async fn too_many_users_are_left_alone() {
    let database = Database::new().await;
    let client = direct(&database).await;
    let users =
        "insert into users (id) select gen_random_uuid() from generate_series(1, 3); analyze users";
    client.batch_execute(users).await.unwrap();
    assert_eq!(
        ensure(&client, Some(2)).await.unwrap(),
        Outcome::TooManyUsers
    );
    assert_eq!(valid(&client).await, 0);
    assert_eq!(ensure(&client, Some(3)).await.unwrap(), ALL);
}

#[tokio::test]
async fn the_worker_heeds_the_switch() {
    let with = async |on: bool| {
        let switch =
            |config: &mut Config| config.index_worker.ensure_user_search_indexes_exist = on;
        let app = TestApp::with(switch).await;
        run(app.clone(), CancellationToken::new()).await;
        valid(&app.database().connect().await).await
    };
    assert_eq!((with(true).await, with(false).await), (4, 0));
}

#[tokio::test]
async fn an_index_under_way_outlives_the_server() {
    let app = TestApp::new().await;
    let (writer, watcher) = (direct(app.database()).await, direct(app.database()).await);
    // What is written and not committed has to be waited for.
    let write = "begin; insert into users (id) values (gen_random_uuid())";
    writer.batch_execute(write).await.unwrap();

    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(run(app.clone(), shutdown.clone()));
    let is_waiting = "select exists (select from pg_stat_activity where datname = current_database() \
                      and query like 'create index concurrently%' and wait_event_type = 'Lock')";
    until(&watcher, is_waiting).await;
    shutdown.cancel();
    within(worker).await.unwrap();

    writer.batch_execute("commit").await.unwrap();
    // Not waited for in one statement: that would be in the way of the index.
    let is_done = "select pg_try_advisory_lock(hashtext('auth_index_worker')::bigint)";
    until(&watcher, is_done).await;
    assert_eq!(valid(&watcher).await, 1);
}

/// Asks until the answer is yes.
async fn until(client: &Client, question: &str) {
    let yes = async {
        while !client
            .query_one(question, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {}
    };
    within(yes).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    let done = tokio::time::timeout(limit, future).await;
    done.expect("it happens soon")
}

#[tokio::test]
async fn a_name_that_no_index_takes_is_refused() {
    let app = TestApp::new().await;
    let client = direct(app.database()).await;
    assert_eq!(ensure(&client, None).await.unwrap(), ALL);
    // Postgres compresses before it complains.
    let name = (0..400_u32)
        .map(|number| format!("{:08x}", number.wrapping_mul(2_654_435_761)))
        .collect::<Vec<_>>()
        .concat();
    let newcomer =
        json!({ "email": "alice@example.com", "password": PASSWORD, "data": { "name": name } });
    app.visitor()
        .post("/signup", newcomer)
        .await
        .refused(422, Code::ValidationFailed);
}
