//! What to tell the operator when the schema cannot be read or changed.

use anyhow::anyhow;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error as PgError};

use super::{Patience, quote_identifier, rows};
use crate::error::Error;

/// Postgres' words, with detail and hint.
pub fn message(error: &PgError) -> String {
    let Some(db) = error.as_db_error() else {
        return error.to_string();
    };
    [Some(db.message()), db.detail(), db.hint()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(". ")
}

/// Names what failed, and the GRANTs that are missing when that is the reason.
pub async fn explain(client: &Client, namespace: &str, doing: &str, error: PgError) -> Error {
    match error.code() {
        None => Error::database_away(
            anyhow::Error::from(error).context(format!("The connection was lost while {doing}")),
        ),
        // A schema that we may not look into seems not to exist until we try to create it.
        Some(&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::DUPLICATE_SCHEMA) => {
            let mut said = format!("The database refused {doing}: {}.", message(&error));
            let grants = lines(client, namespace, MISSING_GRANTS).await;
            if !grants.is_empty() {
                said = format!(
                    "{said} A superuser can allow it:\n  {}",
                    grants.join("\n  ")
                );
            }
            anyhow!(said).into()
        }
        Some(_) => anyhow!("The database failed {doing}: {}.", message(&error)).into(),
    }
}

/// Says which statement did not get its lock, and who holds one.
pub async fn blocked(client: &Client, namespace: &str, doing: &str, patience: &Patience) -> Error {
    let mut said = format!(
        "Gave up {doing}: others hold a lock that it needs. It waited {:?} for it, {} times, so that the site's queries would not \
         queue behind it. Nothing was changed; try again when they are done.",
        patience.lock, patience.attempts
    );
    let holders = lines(client, namespace, HOLDERS).await;
    if !holders.is_empty() {
        said = format!(
            "{said} In the way, the oldest first:\n  {}",
            holders.join("\n  ")
        );
    }
    anyhow!(said).into()
}

/// The lines that a query finds, with `search_path` set to the namespace; none when it fails, for this is only advice.
async fn lines(client: &Client, namespace: &str, query: &str) -> Vec<String> {
    let sql = format!(
        "set local search_path to {}; {query}",
        quote_identifier(namespace)
    );
    let rows = rows(client, &sql).await.unwrap_or_default();
    rows.iter()
        .filter_map(|row| row.get(0))
        .map(str::to_owned)
        .collect()
}

/// What this role needs and has not.
const MISSING_GRANTS: &str = "
    with me as (
        select quote_ident(rolname) as name, rolinherit as inherits from pg_roles where rolname = current_user
    ),
    place (name, oid) as (
        select current_setting('search_path'), (select oid from pg_namespace where quote_ident(nspname) = current_setting('search_path'))
        union all
        select 'truegate', to_regnamespace('truegate')::oid
    ),
    owner (oid) as (
        select relowner from pg_class where relkind in ('r', 'p', 'S') and relnamespace in (select oid from place)
        union
        select proowner from pg_proc where pronamespace in (select oid from place)
        union
        select typowner from pg_type where typtype = 'e' and typnamespace in (select oid from place)
    ),
    stranger (name) as (
        select quote_ident(pg_get_userbyid(oid)) from owner where not pg_has_role(oid, 'usage')
    )
    select format('GRANT CREATE ON DATABASE %I TO %s;', current_database(), me.name) from me
    where exists (select from place where oid is null) and not has_database_privilege(current_database(), 'create')
    union all
    select format('GRANT USAGE, CREATE ON SCHEMA %s TO %s;', place.name, me.name) from me, place
    where oid is not null and not (has_schema_privilege(oid, 'usage') and has_schema_privilege(oid, 'create'))
    union all
    select format('GRANT %s TO %s; -- who owns what is in there', stranger.name, me.name) from me, stranger
    union all
    select format('ALTER ROLE %s INHERIT;', me.name) from me where not inherits and exists (select from stranger)";

/// Who holds locks on tables of ours, the oldest transaction first.
const HOLDERS: &str = "
    select format(
        'process %s of %s%s, %s, in a transaction since %s',
        pid, usename, coalesce(' (' || nullif(application_name, '') || ')', ''), state, to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')
    )
    from pg_stat_activity as other
    where pid <> pg_backend_pid() and exists (
        select from pg_locks join pg_class on pg_class.oid = relation
        where pg_locks.pid = other.pid and granted and database = other.datid
            and relnamespace in (select oid from pg_namespace where nspname in (current_schema(), 'truegate'))
    )
    order by xact_start
    limit 5";
