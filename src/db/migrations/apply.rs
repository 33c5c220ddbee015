//! Runs the missing steps in one transaction, and waits for others as long as is decent.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use anyhow::anyhow;
use futures_util::StreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error as PgError, SimpleQueryMessage, SimpleQueryRow, Transaction};

use super::{AUTH, Patience, Step, TRUEGATE, diagnosis, ledger, missing, quote_identifier, rows};
use crate::error::Result;

/// Applies what is missing, and tries again while others hold the locks.
pub async fn patiently(
    client: &mut Client,
    namespace: &str,
    patience: &Patience,
) -> Result<Vec<&'static Step>> {
    let mut tries = 1;
    loop {
        let failure = match attempt(client, namespace, patience).await {
            Ok(applied) => return Ok(applied),
            Err(failure) => failure,
        };
        match failure.error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) if failure.doing == Doing::Waiting => {
                return Err(anyhow!(
                    "Another process has been migrating this database for {:?} and is not done. Nothing was changed here.",
                    patience.turn
                )
                .into());
            }
            Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                if tries >= patience.attempts {
                    return Err(diagnosis::blocked(
                        client,
                        namespace,
                        &failure.doing.to_string(),
                        patience,
                    )
                    .await);
                }
                tracing::info!(
                    "others hold a lock that is needed {}, trying again in {:?}",
                    failure.doing,
                    patience.pause
                );
                tries += 1;
                rest(patience.pause).await;
            }
            _ => {
                return Err(diagnosis::explain(
                    client,
                    namespace,
                    &failure.doing.to_string(),
                    failure.error,
                )
                .await);
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the site's queries get their turn between two attempts"
)]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// What an attempt was at when it failed.
#[derive(Debug, PartialEq, Eq)]
enum Doing {
    Waiting,
    Reading,
    Running {
        step: Option<&'static Step>,
        sql: String,
    },
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another migration to end"),
            Self::Reading => f.write_str("reading which migrations it has"),
            Self::Running { step: None, sql } => write!(f, "running `{sql}`"),
            Self::Running {
                step: Some(step),
                sql,
            } => write!(f, "running `{sql}` of migration {step}"),
        }
    }
}

struct Failure {
    doing: Doing,
    error: PgError,
}

impl Doing {
    fn failed(self) -> impl FnOnce(PgError) -> Failure {
        |error| Failure { doing: self, error }
    }
}

/// A statement, and the step it belongs to.
type Statement = (Option<&'static Step>, Cow<'static, str>);

/// One attempt, in one transaction.
async fn attempt(
    client: &mut Client,
    namespace: &str,
    patience: &Patience,
) -> Result<Vec<&'static Step>, Failure> {
    let transaction = client
        .transaction()
        .await
        .map_err(Doing::Reading.failed())?;
    take_turn(&transaction, patience)
        .await
        .map_err(Doing::Waiting.failed())?;
    let (mut statements, auth, own) = look(&transaction, namespace, patience)
        .await
        .map_err(Doing::Reading.failed())?;

    let missing: Vec<_> = missing(AUTH, &auth)
        .chain(missing(TRUEGATE, &own))
        .collect();
    for step in &missing {
        statements.extend(step.statements().map(|sql| (Some(*step), sql.into())));
        let ledger = if step.schema == "auth" {
            "schema_migrations"
        } else {
            "truegate.schema_migrations"
        };
        statements.push((
            Some(step),
            format!("insert into {ledger} (version) values ('{}')", step.version).into(),
        ));
    }
    run(&transaction, &statements).await?;
    transaction
        .commit()
        .await
        .map_err(Doing::Reading.failed())?;
    Ok(missing)
}

/// What processes that migrate queue for; it goes with the transaction.
const TURN: i64 = i64::from_be_bytes(*b"truegate");

async fn take_turn(transaction: &Transaction<'_>, patience: &Patience) -> Result<(), PgError> {
    let sql = format!(
        "set local statement_timeout = 0; set local lock_timeout = {}; select pg_advisory_xact_lock({TURN})",
        patience.turn.as_millis()
    );
    let mut turn = pin!(transaction.batch_execute(&sql));
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), turn.as_mut()).await {
        return done;
    }
    tracing::info!("another process is migrating this database, waiting for it");
    turn.await
}

/// Finds what is there: the statements that make what a first step needs, and the versions in both ledgers.
async fn look(
    transaction: &Transaction<'_>,
    namespace: &str,
    patience: &Patience,
) -> Result<(Vec<Statement>, BTreeSet<String>, BTreeSet<String>), PgError> {
    let namespace = quote_identifier(namespace);
    let found = rows(
        transaction.client(),
        &format!(
            "set local client_min_messages = warning; set local lock_timeout = {}; set local search_path to {namespace}; \
             select current_schema(), to_regclass('schema_migrations'), to_regnamespace('truegate'), to_regclass('truegate.schema_migrations')",
            patience.lock.as_millis()
        ),
    )
    .await?;
    let has = |column| {
        found
            .first()
            .is_some_and(|row: &SimpleQueryRow| row.get(column).is_some())
    };

    let mut statements: Vec<Statement> = Vec::new();
    if !has(0) {
        statements.push((None, format!("create schema {namespace}").into()));
    }
    let auth = if has(1) {
        ledger(transaction.client(), "schema_migrations").await?
    } else {
        // As GoTrue's migration library makes it.
        statements.push((
            None,
            "create table schema_migrations (version varchar(14) not null, primary key (version))"
                .into(),
        ));
        statements.push((
            None,
            "create unique index schema_migrations_version_idx on schema_migrations (version)"
                .into(),
        ));
        BTreeSet::new()
    };
    if !has(2) {
        statements.push((None, "create schema truegate".into()));
    }
    let own = if has(3) {
        ledger(transaction.client(), "truegate.schema_migrations").await?
    } else {
        statements.push((
            None,
            "create table truegate.schema_migrations (version text primary key, applied_at timestamptz not null default now())".into(),
        ));
        BTreeSet::new()
    };
    Ok((statements, auth, own))
}

/// Sends all statements at once. Postgres reports each as it is done, so that the count tells which one failed.
async fn run(transaction: &Transaction<'_>, statements: &[Statement]) -> Result<(), Failure> {
    let batch: Vec<&str> = statements.iter().map(|(_, sql)| sql.as_ref()).collect();
    let mut done = 0;
    let result = async {
        let mut messages = pin!(
            transaction
                .client()
                .simple_query_raw(&batch.join(";\n"))
                .await?
        );
        while let Some(message) = messages.next().await {
            if let SimpleQueryMessage::CommandComplete(_) = message? {
                done += 1;
            }
        }
        Ok(())
    }
    .await;
    result.map_err(|error| {
        let (step, sql) = statements
            .get(done)
            .map_or((None, ""), |(step, sql)| (*step, sql));
        Failure {
            doing: Doing::Running {
                step,
                sql: one_line(sql),
            },
            error,
        }
    })
}

/// A statement without its comments, on one line, cut where it is long.
fn one_line(sql: &str) -> String {
    let words: Vec<_> = sql
        .lines()
        .filter(|line| !line.starts_with("--"))
        .flat_map(str::split_whitespace)
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
