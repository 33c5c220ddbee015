//! Databases that GoTrue versions made through their own API, users and all, become ours. See the README beside the dumps.

use std::collections::BTreeSet;

use truegate::db::migrations::{AUTH, Patience, SchemaState, migrate};

use super::catalog::{
    all_steps, assert_same, column, data, describe, golden, versions, versions_of,
};
use crate::support::database::Database;

/// A dump of GoTrue's `auth` schema, and in which shape its ledger was.
struct Dump {
    version: &'static str,
    sql: &'static str,
    /// Versions from before there was `00`.
    ancient: usize,
    /// Identities that are filled in: those of users with an address and a password, and of invited ones.
    filled_in: usize,
}

macro_rules! dump {
    ($version:literal, $ancient:literal, $filled_in:literal) => {
        Dump {
            version: $version,
            sql: include_str!(concat!("takeover/", $version, ".sql")),
            ancient: $ancient,
            filled_in: $filled_in,
        }
    };
}

const DUMPS: &[Dump] = &[
    dump!("v1.11.0", 7, 31),
    dump!("v2.2.16", 7, 7),
    dump!("v2.16.8", 0, 7),
    dump!("v2.40.1", 0, 2),
    dump!("v2.62.1", 0, 0),
    dump!("v2.99.0", 0, 0),
    dump!("v2.151.0", 0, 0),
    dump!("v2.170.0", 0, 0),
    dump!("v2.180.0", 0, 0),
    dump!("v2.196.0", 0, 0),
];

async fn restore(dump: &Dump) -> (Database, tokio_postgres::Client) {
    let database = Database::empty().await;
    let loader = database.connect().await;
    loader.batch_execute(dump.sql).await.unwrap();
    // A dump changes its session's settings.
    let client = database.connect().await;
    (database, client)
}

async fn count(client: &tokio_postgres::Client, table: &str) -> usize {
    column(client, &format!("select count(*) from auth.{table}")).await[0]
        .parse()
        .unwrap()
}

/// Old ledgers keep their width and keys, and some function bodies have tabs: so it is under GoTrue as well.
fn comparable(schema: &BTreeSet<String>) -> BTreeSet<String> {
    let lines = schema
        .iter()
        .filter(|line| !line.contains("schema_migrations"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn the_databases_of_older_versions_become_the_same() {
    let golden = comparable(&golden().await);
    for dump in DUMPS {
        let (_database, mut client) = restore(dump).await;
        let identities = if dump.version == "v1.11.0" {
            0
        } else {
            count(&client, "identities").await
        };
        let users = count(&client, "users").await;
        let report = migrate(&mut client, "auth", &Patience::default())
            .await
            .unwrap();
        assert_eq!(report.state, SchemaState::UpToDate, "{}", dump.version);

        assert_same(
            &comparable(&describe(&client, "auth").await),
            &golden,
            dump.version,
        );
        let versions = versions(&client, "auth").await;
        let ancient = versions
            .iter()
            .filter(|version| version.as_str() > "00" && version.as_str() < "2021")
            .count();
        assert_eq!(ancient, dump.ancient, "{}", dump.version);
        assert_eq!(versions.len(), AUTH.len() + ancient);
        assert!(
            versions_of(AUTH)
                .iter()
                .all(|version| versions.contains(version))
        );

        assert_eq!(count(&client, "users").await, users, "{}", dump.version);
        assert_eq!(
            count(&client, "identities").await - identities,
            dump.filled_in,
            "{}",
            dump.version
        );
    }
}

#[tokio::test]
async fn a_step_that_is_run_again_changes_nothing() {
    let dump = DUMPS.iter().find(|dump| dump.version == "v2.99.0").unwrap();
    let (_database, mut client) = restore(dump).await;
    migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    let (schema, rows) = (describe(&client, "auth").await, data(&client, "auth").await);
    for step in all_steps() {
        let statements: Vec<_> = step.statements().collect();
        client
            .batch_execute(&format!(
                "begin; set local search_path to auth; {}; commit",
                statements.join(";")
            ))
            .await
            .unwrap();
        assert_same(&describe(&client, "auth").await, &schema, &step.to_string());
        assert_same(&data(&client, "auth").await, &rows, &step.to_string());
    }
    // The same when the whole ledger is lost.
    client
        .batch_execute("drop table auth.schema_migrations")
        .await
        .unwrap();
    let report = migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    assert_eq!(report.applied.len(), AUTH.len());
    assert_same(
        &describe(&client, "auth").await,
        &golden().await,
        "without a ledger",
    );
}

#[tokio::test]
async fn links_from_before_their_table_come_along_once() {
    for version in ["v1.11.0", "v2.2.16", "v2.99.0"] {
        let dump = DUMPS.iter().find(|dump| dump.version == version).unwrap();
        let (_database, mut client) = restore(dump).await;
        migrate(&mut client, "auth", &Patience::default())
            .await
            .unwrap();
        for kind in ["confirmation_token", "recovery_token"] {
            let sent = format!("select {kind} from auth.users where {kind} ~ '[^0-9 ]' order by 1");
            let sent = column(&client, &sent).await;
            let kept = format!(
                "select token_hash from auth.one_time_tokens where token_type = '{kind}' order by 1"
            );
            assert!(!sent.is_empty(), "{version}: {kind}");
            assert_eq!(column(&client, &kept).await, sent, "{version}: {kind}");
        }
        // What was voided since does not come back with a step that is run again.
        let lost = "delete from auth.one_time_tokens; drop table auth.schema_migrations";
        client.batch_execute(lost).await.unwrap();
        migrate(&mut client, "auth", &Patience::default())
            .await
            .unwrap();
        assert_eq!(count(&client, "one_time_tokens").await, 0, "{version}");
    }
}
