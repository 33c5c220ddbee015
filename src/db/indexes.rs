//! The indexes for listing and searching users. GoTrue's index worker makes them, and no migration: either server finds
//! what the other has built. They are built beside the traffic, one server at a time.

use std::time::Instant;

use tokio_postgres::{Client, Error};

use super::migrations::rows;

/// Each with what it is on; the first is what lists are read from.
const INDEXES: [(&str, &str); 4] = [
    ("idx_users_created_at_desc", "(created_at desc)"),
    ("idx_users_email", "(email)"),
    ("idx_users_last_sign_in_at_desc", "(last_sign_in_at desc)"),
    (
        "idx_users_name",
        "((raw_user_meta_data ->> 'name')) where raw_user_meta_data ->> 'name' is not null",
    ),
];

/// GoTrue's own lock. It belongs to the session that builds, so that it is held as long as Postgres is at work, even
/// where the server that asked for it has gone.
const LOCK: &str = "select pg_try_advisory_lock(hashtext('auth_index_worker')::bigint)";
/// A pooler keeps the session.
const UNLOCK: &str = "select pg_advisory_unlock(hashtext('auth_index_worker')::bigint)";

/// What [`ensure`] found, or did.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All are there.
    Complete,
    /// Another server is building them.
    UnderWay,
    /// They are missing, and users are more than the settings allow.
    TooManyUsers,
    /// So many were built, and so many could not be: the log says why.
    Built {
        /// Now there.
        built: usize,
        /// Still missing.
        failed: usize,
    },
}

/// Builds the indexes that are missing, if there are at most so many users. The connection must be one to Postgres
/// itself. Only plain statements outside of transactions, so that nobody waits for it.
pub async fn ensure(client: &Client, most_users: Option<u64>) -> Result<Outcome, Error> {
    if missing(client).await?.is_empty() {
        return Ok(Outcome::Complete);
    }
    if first(client, LOCK).await?.as_deref() != Some("t") {
        return Ok(Outcome::UnderWay);
    }
    let outcome = build_missing(client, most_users).await;
    client.simple_query(UNLOCK).await?;
    outcome
}

/// An index that is not there.
struct Missing {
    name: &'static str,
    on: &'static str,
    /// An attempt that broke off has left it behind: of no use to anybody, and written to all the same.
    is_broken: bool,
}

/// What is missing now: whoever had the lock before may have built it.
async fn build_missing(client: &Client, most_users: Option<u64>) -> Result<Outcome, Error> {
    let missing = missing(client).await?;
    if missing.is_empty() {
        return Ok(Outcome::Complete);
    }
    if let Some(most) = most_users
        && users(client).await? > most
    {
        return Ok(Outcome::TooManyUsers);
    }
    let (mut built, mut failed) = (0, 0);
    for index in missing {
        let since = Instant::now();
        match build(client, &index).await {
            Ok(()) => {
                built += 1;
                tracing::info!(index = index.name, took = ?since.elapsed(), "index built");
            }
            Err(error) => {
                failed += 1;
                let error = anyhow::Error::from(error);
                tracing::warn!(index = index.name, "index not built: {error:#}");
            }
        }
    }
    Ok(Outcome::Built { built, failed })
}

async fn build(client: &Client, index: &Missing) -> Result<(), Error> {
    let Missing { name, on, .. } = index;
    let drop = format!("drop index concurrently if exists {name}");
    if index.is_broken {
        client.simple_query(&drop).await?;
    }
    let create = format!("create index concurrently if not exists {name} on users {on}");
    if let Err(error) = client.simple_query(&create).await {
        // Where this fails as well, the next start does it.
        let _ = client.simple_query(&drop).await;
        return Err(error);
    }
    Ok(())
}

async fn missing(client: &Client) -> Result<Vec<Missing>, Error> {
    let there = rows(
        client,
        "select c.relname, i.indisvalid and i.indisready from pg_index i join pg_class c on c.oid = i.indexrelid \
         where i.indrelid = 'users'::regclass",
    )
    .await?;
    let missing = INDEXES.into_iter().filter_map(|(name, on)| {
        let found = there.iter().find(|row| row.get(0) == Some(name));
        let is_valid = found.is_some_and(|row| row.get(1) == Some("t"));
        (!is_valid).then(|| Missing {
            name,
            on,
            is_broken: found.is_some(),
        })
    });
    Ok(missing.collect())
}

/// About how many users there are, as the planner sees it.
async fn users(client: &Client) -> Result<u64, Error> {
    let estimate =
        "select greatest(reltuples, 0)::bigint from pg_class where oid = 'users'::regclass";
    let users = first(client, estimate).await?;
    Ok(users
        .and_then(|users| users.parse().ok())
        .unwrap_or_default())
}

async fn first(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    let rows = rows(client, sql).await?;
    Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
}
