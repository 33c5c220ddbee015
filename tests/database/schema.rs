//! `src/db/schema.rs` and `src/db/enums.rs` say what the catalogs say.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods as _, QueryDsl as _};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use truegate::clock::{Clock as _, SystemClock};
use truegate::db::enums::{Aal, FactorStatus, FactorType};
use truegate::db::migrations::{Patience, migrate};
use truegate::db::schema::{mfa_factors, sessions, users};
use truegate::db::statement;

use super::catalog::{assert_same, column};
use crate::support::database::Database;

/// Each column of the `table!`s as `table.column -> Type`.
fn declared() -> BTreeSet<String> {
    let source = include_str!("../../src/db/schema.rs");
    let mut columns = BTreeSet::new();
    let mut table = "";
    for line in source.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(" {")) {
            table = name;
        } else if line.contains(" -> ") {
            columns.insert(format!("{table}.{}", line.trim_end_matches(',')));
        }
    }
    columns
}

/// The same from the catalogs.
const CATALOG: &str = "
    select format(
        '%s%s.%s -> %s',
        case nspname when 'truegate' then 'truegate.' else '' end, relname, attname,
        case when attnotnull then name else 'Nullable<' || name || '>' end
    )
    from pg_attribute join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace,
        format_type(atttypid, null) as written,
        coalesce(('{
            \"bigint\": \"BigInt\", \"boolean\": \"Bool\", \"bytea\": \"Binary\", \"character varying\": \"Varchar\", \"inet\": \"Inet\",
            \"integer\": \"Integer\", \"json\": \"Json\", \"jsonb\": \"Jsonb\", \"smallint\": \"SmallInt\", \"text\": \"Text\",
            \"text[]\": \"Array<Text>\", \"timestamp with time zone\": \"Timestamptz\", \"timestamp without time zone\": \"Timestamp\",
            \"uuid\": \"Uuid\", \"auth.aal_level\": \"Aal\"
        }'::jsonb) ->> written, replace(initcap(replace(substr(written, 6), '_', ' ')), ' ', '')) as name
    where nspname in ('auth', 'truegate') and relkind = 'r' and attnum > 0 and not attisdropped
        and (nspname, relname) <> ('truegate', 'schema_migrations')";

async fn migrated() -> (Database, AsyncPgConnection) {
    let database = Database::empty().await;
    let mut client = database.connect().await;
    migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    let mut conn = AsyncPgConnection::establish(&database.url).await.unwrap();
    diesel::sql_query("set search_path to auth")
        .execute(&mut conn)
        .await
        .unwrap();
    (database, conn)
}

#[tokio::test]
async fn the_tables_are_those_of_the_catalogs() {
    let (database, _) = migrated().await;
    let found = column(&database.connect().await, CATALOG)
        .await
        .into_iter()
        .collect();
    assert_same(&declared(), &found, "src/db/schema.rs");
}

#[tokio::test]
async fn enums_are_read_and_written() {
    let (_database, mut conn) = migrated().await;
    let user = uuid::Uuid::new_v4();
    let now = SystemClock.now();
    diesel::insert_into(users::table)
        .values(users::id.eq(user))
        .execute(&mut conn)
        .await
        .unwrap();

    let factor = (
        mfa_factors::id.eq(user),
        mfa_factors::user_id.eq(user),
        mfa_factors::factor_type.eq(FactorType::Phone),
        mfa_factors::status.eq(FactorStatus::Unverified),
        mfa_factors::created_at.eq(now),
        mfa_factors::updated_at.eq(now),
    );
    diesel::insert_into(mfa_factors::table)
        .values(factor)
        .execute(&mut conn)
        .await
        .unwrap();
    let kinds: Vec<FactorType> = mfa_factors::table
        .filter(mfa_factors::status.eq_any([FactorStatus::Unverified, FactorStatus::Verified]))
        .select(mfa_factors::factor_type)
        .load(&mut conn)
        .await
        .unwrap();
    assert_eq!(kinds, [FactorType::Phone]);

    // A hand-written statement sees text.
    statement("insert into sessions (id, user_id, aal) values ($1, $1, $2::aal_level)")
        .bind::<diesel::sql_types::Uuid, _>(user)
        .bind::<diesel::sql_types::Text, _>(Aal::Two)
        .execute(&mut conn)
        .await
        .unwrap();
    let levels: Vec<Option<Aal>> = sessions::table
        .filter(sessions::aal.gt(Aal::One))
        .select(sessions::aal)
        .load(&mut conn)
        .await
        .unwrap();
    assert_eq!(levels, [Some(Aal::Two)]);
}

#[tokio::test]
async fn every_label_has_its_variant() {
    let (_database, mut conn) = migrated().await;
    macro_rules! assert_labels {
        ($($name:ident = $type:literal)+) => { $({
            use truegate::db::enums::{$name, sql_types};
            let labels: Vec<(String, $name)> = diesel::select((
                diesel::dsl::sql::<diesel::sql_types::Text>(concat!("unnest(enum_range(null::", $type, "))::text")),
                diesel::dsl::sql::<sql_types::$name>(concat!("unnest(enum_range(null::", $type, "))")),
            ))
            .load(&mut conn)
            .await
            .unwrap();
            assert!(!labels.is_empty());
            for (label, variant) in labels {
                assert_eq!(label, variant.as_str());
            }
        })+ };
    }
    assert_labels! {
        Aal = "aal_level"
        FactorType = "factor_type"
        FactorStatus = "factor_status"
        CodeChallengeMethod = "code_challenge_method"
        OneTimeTokenType = "one_time_token_type"
        OauthRegistrationType = "oauth_registration_type"
        OauthClientType = "oauth_client_type"
        OauthAuthorizationStatus = "oauth_authorization_status"
        OauthResponseType = "oauth_response_type"
    }
}
