//! Brings a database to the schema that this program knows, and tells at start whether it is there already.
//!
//! `migrations/` holds the steps. Those of the namespace have GoTrue's version numbers and GoTrue's ledger, so that either
//! program can take over from the other; our own tables are in schema `truegate`. All missing steps run in one
//! transaction: a migration that fails changes nothing. Only the simple query protocol is spoken, in few round trips
//! and without session state, so that it works through any pooler.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AsQuery, QueryBuilder, QueryFragment};
use futures_util::future;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error as PgError, SimpleQueryMessage, SimpleQueryRow};

use crate::db::schema;
use crate::error::Result;

mod apply;
mod diagnosis;
mod steps;

pub use steps::{AUTH, Step, TRUEGATE, fingerprint};

/// How long `migrate` waits for others.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long a statement waits for a lock. Queries that come after it wait as well, so the site stands still that long.
    /// Less than Postgres' `deadlock_timeout`, so that of two in each other's way it is the migration that gives in.
    pub lock: Duration,
    /// How often it tries.
    pub attempts: u32,
    /// How long the site is left alone between two attempts.
    pub pause: Duration,
    /// How long another process may take that migrates the same database.
    pub turn: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock: Duration::from_millis(500),
            attempts: 15,
            pause: Duration::from_secs(2),
            turn: Duration::from_mins(10),
        }
    }
}

/// How a database's schema relates to the one we know.
#[derive(Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They are the same.
    UpToDate,
    /// These steps are missing: `migrate` brings them.
    Behind(Vec<&'static Step>),
    /// A newer program has added these versions; everything we use is there.
    Newer(Vec<String>),
    /// A newer program has changed what we use.
    Incompatible {
        /// The versions it added.
        versions: Vec<String>,
        /// What we miss first, in Postgres' words.
        lost: String,
    },
}

impl fmt::Display for SchemaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate => f.write_str("The database schema is up to date."),
            Self::Behind(missing) => {
                let first = missing.first().map(ToString::to_string);
                write!(
                    f,
                    "The database schema is not ready: {} migrations are missing, from {} on. Run `truegate migrate`.",
                    missing.len(),
                    first.unwrap_or_default()
                )
            }
            Self::Newer(versions) => write!(
                f,
                "The database schema is newer than this program: it has the unknown migrations {}. All that is used here is there.",
                versions.join(", ")
            ),
            Self::Incompatible { versions, lost } => write!(
                f,
                "The database schema is too new for this program: it has the unknown migrations {} and lacks what is used here ({lost}). \
                 Use a newer version of this program.",
                versions.join(", ")
            ),
        }
    }
}

/// What `migrate` did.
#[derive(Debug)]
pub struct Report {
    /// The steps it ran, in order.
    pub applied: Vec<&'static Step>,
    /// How the schema is now; never `Behind`.
    pub state: SchemaState,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.applied {
            writeln!(f, "applied {step}")?;
        }
        self.state.fmt(f)
    }
}

/// Tells how the schema is, in one round trip when nothing is unusual.
pub async fn check(client: &Client, namespace: &str) -> Result<SchemaState> {
    let auth = format!("{}.schema_migrations", quote_identifier(namespace));
    let ledgers = future::try_join(
        ledger(client, &auth),
        ledger(client, "truegate.schema_migrations"),
    );
    let (auth, own) = match ledgers.await {
        Ok(ledgers) => ledgers,
        Err(error) => {
            return Err(diagnosis::explain(
                client,
                namespace,
                "reading which migrations it has",
                error,
            )
            .await);
        }
    };
    let missing: Vec<_> = missing(AUTH, &auth)
        .chain(missing(TRUEGATE, &own))
        .collect();
    if !missing.is_empty() {
        return Ok(SchemaState::Behind(missing));
    }
    let versions: Vec<_> = unknown(AUTH, auth).chain(unknown(TRUEGATE, own)).collect();
    if versions.is_empty() {
        return Ok(SchemaState::UpToDate);
    }
    match client.batch_execute(&known_part(namespace)?).await {
        Ok(()) => Ok(SchemaState::Newer(versions)),
        Err(error)
            if matches!(
                error.code(),
                Some(&SqlState::UNDEFINED_COLUMN | &SqlState::UNDEFINED_TABLE)
            ) =>
        {
            Ok(SchemaState::Incompatible {
                versions,
                lost: diagnosis::message(&error),
            })
        }
        Err(error) => {
            Err(diagnosis::explain(client, namespace, "looking for what is used here", error).await)
        }
    }
}

/// Runs the steps that are missing. Another process that does the same is waited for.
///
/// The connection's role must own the schemas `namespace` and `truegate`, or be allowed to create them; the error names
/// the GRANTs that are missing. Where a long query holds a lock that is needed, the site's queries are held up for at most
/// `patience.lock` at a time, and the error names the statement and who was in the way.
pub async fn migrate(client: &mut Client, namespace: &str, patience: &Patience) -> Result<Report> {
    let state = check(client, namespace).await?;
    if !matches!(state, SchemaState::Behind(_)) {
        return Ok(Report {
            applied: Vec::new(),
            state,
        });
    }
    let applied = apply::patiently(client, namespace, patience).await?;
    let state = check(client, namespace).await?;
    Ok(Report { applied, state })
}

/// The versions in a ledger; none when it does not exist.
async fn ledger(client: &Client, table: &str) -> Result<BTreeSet<String>, PgError> {
    match rows(client, &format!("select version from {table}")).await {
        Ok(rows) => Ok(rows
            .iter()
            .filter_map(|row| row.get(0))
            .map(str::to_owned)
            .collect()),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// What a statement without parameters answers, as text.
pub(super) async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, PgError> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .into_iter()
        .filter_map(|message| {
            if let SimpleQueryMessage::Row(row) = message {
                Some(row)
            } else {
                None
            }
        })
        .collect())
}

fn missing(
    known: &'static [Step],
    recorded: &BTreeSet<String>,
) -> impl Iterator<Item = &'static Step> {
    known.iter().filter(|step| !recorded.contains(step.version))
}

/// What was recorded after our last version. Unknown versions before it are history: GoTrue up to v2.2 had other first steps.
fn unknown(known: &'static [Step], recorded: BTreeSet<String>) -> impl Iterator<Item = String> {
    let last = known.last().map_or("", |step| step.version);
    recorded
        .into_iter()
        .filter(move |version| version.as_str() > last)
}

/// Statements that fail when a table or column that we use is not there.
fn known_part(namespace: &str) -> Result<String> {
    fn select<Table>(table: Table) -> Result<String>
    where
        Table: AsQuery,
        Table::Query: QueryFragment<Pg>,
    {
        let mut builder = PgQueryBuilder::default();
        table.as_query().to_sql(&mut builder, &Pg)?;
        Ok(builder.finish())
    }
    macro_rules! select_each {
        ($($table:ident)+) => { [$(select(schema::$table::table)?),+] };
    }
    let selects = select_each!(
        audit_log_entries custom_oauth_providers flow_state identities instances mfa_amr_claims mfa_challenges mfa_factors
        oauth_authorizations oauth_client_states oauth_clients oauth_consents one_time_tokens outbox refresh_tokens saml_providers
        saml_relay_states schema_migrations sessions sso_domains sso_providers users webauthn_challenges webauthn_credentials
    );
    Ok(format!(
        "set local search_path to {}; {} limit 0",
        quote_identifier(namespace),
        selects.join(" limit 0; ")
    ))
}

/// A name as an identifier, whatever it contains.
fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
