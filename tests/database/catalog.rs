//! What a schema looks like, in lines that can be compared.

use std::collections::BTreeSet;

use tokio_postgres::{Client, SimpleQueryMessage};
use truegate::db::migrations::{AUTH, Step, TRUEGATE};

use crate::support::database::Database;

/// A schema as `pg_dump` wrote it from a GoTrue database.
pub const GOLDEN: &str = include_str!("v2.196.sql");

pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The first column of all rows.
pub async fn column(client: &Client, sql: &str) -> Vec<String> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_owned()),
        _ => None,
    });
    rows.collect()
}

/// A line for each thing in the schema.
pub async fn describe(client: &Client, namespace: &str) -> BTreeSet<String> {
    let sql = format!(
        "begin; set local search_path to {}; {}; rollback",
        quote(namespace),
        include_str!("catalog.sql")
    );
    column(client, &sql).await.into_iter().collect()
}

/// What GoTrue v2.196 leaves behind.
pub async fn golden() -> BTreeSet<String> {
    let database = Database::empty().await;
    let client = database.connect().await;
    client.batch_execute(GOLDEN).await.unwrap();
    describe(&client, "auth").await
}

/// Fails with the lines that only one side has.
pub fn assert_same(found: &BTreeSet<String>, expected: &BTreeSet<String>, what: &str) {
    let extra: Vec<_> = found.difference(expected).collect();
    let lost: Vec<_> = expected.difference(found).collect();
    assert!(
        extra.is_empty() && lost.is_empty(),
        "{what}: too much {extra:#?}, too little {lost:#?}"
    );
}

/// The rows of all tables of a schema, as text.
pub async fn data(client: &Client, namespace: &str) -> BTreeSet<String> {
    let name = namespace.replace('\'', "''");
    let tables = format!("select tablename from pg_tables where schemaname = '{name}' order by 1");
    let mut rows = BTreeSet::new();
    for table in column(client, &tables).await {
        let text = format!(
            "select '{table}: ' || t::text from {}.{} as t",
            quote(namespace),
            quote(&table)
        );
        rows.extend(column(client, &text).await);
    }
    rows
}

/// All versions in a ledger.
pub async fn versions(client: &Client, schema: &str) -> Vec<String> {
    column(
        client,
        &format!(
            "select version from {}.schema_migrations order by 1",
            quote(schema)
        ),
    )
    .await
}

/// The versions of these steps.
pub fn versions_of(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| step.version.to_owned()).collect()
}

/// Every step there is.
pub fn all_steps() -> impl Iterator<Item = &'static Step> {
    AUTH.iter().chain(TRUEGATE)
}
