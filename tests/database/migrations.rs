//! From any state to the one schema, and nothing else changes.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use truegate::db::migrations::{self, AUTH, Patience, SchemaState, Step, TRUEGATE, check, migrate};

use super::catalog::{
    all_steps, assert_same, column, describe, golden, quote, versions, versions_of,
};
use crate::support::database::Database;

/// Makes the namespace and runs the first steps in it, as a program that knew no more would have left it.
async fn run_first(client: &Client, namespace: &str, steps: &[Step]) {
    let mut sql = vec![
        format!(
            "begin; create schema {0}; set local search_path to {0}",
            quote(namespace)
        ),
        "create table schema_migrations (version varchar(14) not null, primary key (version))"
            .into(),
        "create unique index schema_migrations_version_idx on schema_migrations (version)".into(),
    ];
    for step in steps {
        sql.extend(step.statements().map(str::to_owned));
        sql.push(format!(
            "insert into schema_migrations (version) values ('{}')",
            step.version
        ));
    }
    sql.push("commit".into());
    client.batch_execute(&sql.join(";\n")).await.unwrap();
}

/// What fails soon.
fn hasty() -> Patience {
    Patience {
        lock: Duration::from_millis(50),
        attempts: 2,
        pause: Duration::from_millis(10),
        turn: Duration::from_millis(100),
    }
}

fn message(result: truegate::error::Result<migrations::Report>) -> String {
    match result.unwrap_err() {
        truegate::error::Error::Failed(failure) => failure.cause.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_file_is_a_step() {
    for (folder, steps) in [("auth", AUTH), ("truegate", TRUEGATE)] {
        let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names: Vec<_> = steps
            .iter()
            .map(|step| format!("{}_{}.sql", step.version, step.name))
            .collect();
        assert_eq!(files, names);
    }
}

#[tokio::test]
async fn an_empty_database_gets_the_schema_of_gotrue() {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    let SchemaState::Behind(missing) = check(&client, "auth").await.unwrap() else {
        panic!()
    };
    assert_eq!(missing.len(), AUTH.len() + TRUEGATE.len());

    let report = migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    assert_eq!(report.applied, missing);
    assert!(
        report.to_string().starts_with(
            "applied auth 00 init_auth_schema\napplied auth 20210710035447 alter_users\n"
        ),
        "{report}"
    );
    assert!(
        report
            .to_string()
            .ends_with("\nThe database schema is up to date."),
        "{report}"
    );
    assert_same(
        &describe(&client, "auth").await,
        &golden().await,
        "a fresh schema",
    );
    assert_eq!(versions(&client, "auth").await, versions_of(AUTH));
    assert_eq!(versions(&client, "truegate").await, versions_of(TRUEGATE));

    assert_eq!(check(&client, "auth").await.unwrap(), SchemaState::UpToDate);
    let report = migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    assert_eq!(report.to_string(), "The database schema is up to date.");
}

#[tokio::test]
async fn role_postgres_may_read_where_there_is_one() {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    let granted = column(
        &client,
        "select relname from pg_class, aclexplode(relacl) as granted
         where relnamespace = 'auth'::regnamespace and privilege_type = 'SELECT' and is_grantable
             and grantee = to_regrole('postgres') order by 1",
    )
    .await;
    let closed = column(
        &client,
        "select relname from pg_class where relnamespace = 'auth'::regnamespace and relrowsecurity
         and to_regrole('postgres') is not null order by 1",
    )
    .await;
    assert_eq!(granted, closed);
}

#[tokio::test]
async fn a_database_left_at_any_version_is_completed() {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    let golden = golden().await;
    for count in 0..=AUTH.len() {
        let namespace = format!("left at {count}");
        run_first(&client, &namespace, &AUTH[..count]).await;
        let report = migrate(&mut client, &namespace, &Patience::default())
            .await
            .unwrap();
        assert_eq!(
            report
                .applied
                .iter()
                .filter(|step| step.schema == "auth")
                .count(),
            AUTH.len() - count
        );
        assert_same(&describe(&client, &namespace).await, &golden, &namespace);
        assert_eq!(versions(&client, &namespace).await, versions_of(AUTH));
    }
}

#[tokio::test]
async fn any_name_is_a_namespace() {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    let golden = golden().await;
    for namespace in [
        "Auth", "select", "we\"ird", "it's", "a.b, c", "$$; drop", "über", "a\\b",
    ] {
        migrate(&mut client, namespace, &Patience::default())
            .await
            .unwrap();
        assert_same(&describe(&client, namespace).await, &golden, namespace);
        assert_eq!(
            check(&client, namespace).await.unwrap(),
            SchemaState::UpToDate,
            "{namespace}"
        );
    }
}

#[tokio::test]
async fn of_two_at_once_one_waits() {
    let database = Database::empty().await;
    let (mut one, mut two) = (database.connect().await, database.connect().await);
    let patience = Patience::default();
    let (one, two) = tokio::join!(
        migrate(&mut one, "auth", &patience),
        migrate(&mut two, "auth", &patience)
    );
    let mut counts = [one.unwrap().applied.len(), two.unwrap().applied.len()];
    counts.sort_unstable();
    assert_eq!(counts, [0, AUTH.len() + TRUEGATE.len()]);
}

#[tokio::test]
async fn a_long_query_is_not_waited_for_at_the_sites_cost() {
    let database = Database::empty().await;
    let (mut client, reader) = (database.connect().await, database.connect().await);
    run_first(&client, "auth", &AUTH[..50]).await;
    reader
        .batch_execute(
            "set application_name = 'the long report'; begin; select from auth.mfa_factors",
        )
        .await
        .unwrap();

    let start = Instant::now();
    let message = message(migrate(&mut client, "auth", &hasty()).await);
    assert!(start.elapsed() < Duration::from_mins(1));
    let blocked = "Gave up running `alter table mfa_factors add column if not exists phone text` of migration \
        auth 20240729123726 add_mfa_phone_config: others hold a lock that it needs.";
    assert!(message.starts_with(blocked), "{message}");
    assert!(
        message.contains("(the long report), idle in transaction, in a transaction since "),
        "{message}"
    );
    assert_eq!(
        versions(&client, "auth").await.len(),
        50,
        "nothing was changed"
    );

    reader.batch_execute("commit").await.unwrap();
    migrate(&mut client, "auth", &hasty()).await.unwrap();
}

#[tokio::test]
async fn another_migration_is_not_waited_for_without_end() {
    let database = Database::empty().await;
    let (mut one, mut two, reader) = (
        database.connect().await,
        database.connect().await,
        database.connect().await,
    );
    run_first(&one, "auth", &AUTH[..50]).await;
    reader
        .batch_execute("begin; select from auth.mfa_factors")
        .await
        .unwrap();
    let stuck = tokio::spawn(async move {
        migrate(
            &mut one,
            "auth",
            &Patience {
                lock: Duration::from_mins(1),
                ..hasty()
            },
        )
        .await
    });
    // For the reader: in other databases others wait as well.
    let waiting = "select pid from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))";
    while column(&reader, waiting).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let message = message(migrate(&mut two, "auth", &hasty()).await);
    assert_eq!(
        message,
        "Another process has been migrating this database for 100ms and is not done. Nothing was changed here."
    );
    reader.batch_execute("commit").await.unwrap();
    stuck.await.unwrap().unwrap();
    assert!(
        migrate(&mut two, "auth", &hasty())
            .await
            .unwrap()
            .applied
            .is_empty()
    );
}

#[tokio::test]
async fn a_newer_schema_is_served_as_long_as_our_part_is_intact() {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    client
        .batch_execute(
            "insert into auth.schema_migrations values ('20270101000000'), ('20220412150300')",
        )
        .await
        .unwrap();
    let state = migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap()
        .state;
    assert_eq!(state, SchemaState::Newer(vec!["20270101000000".into()]));

    client
        .batch_execute("alter table auth.users rename column phone to telephone")
        .await
        .unwrap();
    let state = check(&client, "auth").await.unwrap();
    assert_eq!(
        state.to_string(),
        "The database schema is too new for this program: it has the unknown migrations 20270101000000 and lacks what is used here \
         (column users.phone does not exist). Use a newer version of this program."
    );

    client
        .batch_execute("delete from auth.schema_migrations where version = '00'")
        .await
        .unwrap();
    let state = check(&client, "auth").await.unwrap();
    assert_eq!(
        state.to_string(),
        "The database schema is not ready: 1 migrations are missing, from auth 00 init_auth_schema on. Run `truegate migrate`."
    );
}

#[tokio::test]
async fn statements_are_told_apart() {
    let database = Database::empty().await;
    let client = database.connect().await;
    client
        .batch_execute("create schema truegate; create table schema_migrations (version text)")
        .await
        .unwrap();
    for step in all_steps() {
        for statement in step.statements() {
            // The extended protocol takes one statement at a time.
            client
                .execute(statement, &[])
                .await
                .unwrap_or_else(|error| panic!("{step}: {error:?}"));
        }
    }
}
