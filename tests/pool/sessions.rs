//! What a session is like, and which ones are used again.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::Client;
use truegate::error::{Error, sqlstate};

use super::*;
use crate::support::database::Database;

fn with(url: &str, parameter: &str) -> String {
    format!(
        "{url}{}{parameter}",
        if url.contains('?') { '&' } else { '?' }
    )
}

#[tokio::test]
async fn tables_are_found_in_the_namespace() {
    let database = Database::empty().await;
    let mut conn = take(&pool(&database.url, &[])).await;
    assert_eq!(
        ask(&mut conn, "current_setting('search_path')").await,
        "\"auth\""
    );
    assert_eq!(ask(&mut conn, "current_setting('TimeZone')").await, "UTC");

    let settings = [("DB_NAMESPACE", "my \"auth\\")];
    let url = with(&database.url, "search_path=public&statement_timeout=7s");
    let mut conn = take(&pool(&url, &settings)).await;
    conn.batch_execute(r#"CREATE SCHEMA "my ""auth\"; CREATE TABLE found (a int)"#)
        .await
        .unwrap();
    assert_eq!(ask(&mut conn, "current_schema()").await, "my \"auth\\");
    assert_eq!(
        ask(
            &mut conn,
            "SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'found'"
        )
        .await,
        r#""my ""auth\""#
    );
    assert_eq!(
        ask(&mut conn, "current_setting('statement_timeout')").await,
        "7s"
    );
}

/// Stands in front of the database and knows no `options`: so is PgBouncer where nobody told it to ignore them.
async fn pooler(url: &str) -> u16 {
    let url = url::Url::parse(url).unwrap();
    let socket = url
        .query_pairs()
        .find(|(name, _)| name == "host")
        .map(|(_, path)| path.into_owned());
    let port = url.port().unwrap_or(5432);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let length = client.read_u32().await.unwrap();
            let mut startup = vec![0; length as usize - 4];
            client.read_exact(&mut startup).await.unwrap();
            if startup.windows(9).any(|word| word == b"\0options\0") {
                let text = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
                client
                    .write_all(
                        &[
                            b"E",
                            &u32::try_from(text.len() + 4).unwrap().to_be_bytes()[..],
                            text,
                        ]
                        .concat(),
                    )
                    .await
                    .unwrap();
                continue;
            }
            let startup = [&length.to_be_bytes()[..], &startup].concat();
            if let Some(socket) = &socket {
                let mut server = UnixStream::connect(format!("{socket}/.s.PGSQL.{port}"))
                    .await
                    .unwrap();
                server.write_all(&startup).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            } else {
                let mut server = TcpStream::connect((url.host_str().unwrap(), port))
                    .await
                    .unwrap();
                server.write_all(&startup).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        }
    });
    own
}

#[tokio::test]
async fn a_pooler_without_options_is_enough() {
    let database = Database::empty().await;
    let port = pooler(&database.url).await;
    let client = database.connect().await;
    let name: String = client
        .query_one("SELECT current_database()::text", &[])
        .await
        .unwrap()
        .get(0);
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    let setting = "current_setting('search_path')";

    let pool_of = |more: &str| pool(&format!("{url}{more}"), &[]);
    let first = pool_of("");
    let mut both = [take(&first).await, take(&first).await];
    for conn in &mut both {
        assert_eq!(ask(conn, setting).await, "\"auth\"");
    }
    let mut conn = take(&pool_of(
        "&search_path=public&statement_timeout=7s&my.own=x'y",
    ))
    .await;
    assert_eq!(ask(&mut conn, setting).await, "\"auth\",public");
    assert_eq!(
        ask(
            &mut conn,
            "current_setting('statement_timeout') || current_setting('my.own')"
        )
        .await,
        "7sx'y"
    );

    // What the role has is left alone.
    client
        .batch_execute(&format!(
            "ALTER DATABASE {name} SET search_path = auth, public"
        ))
        .await
        .unwrap();
    assert_eq!(
        ask(&mut *take(&pool_of("")).await, setting).await,
        "auth, public"
    );
}

#[tokio::test]
async fn we_are_known_by_name() {
    let database = Database::empty().await;
    let (url, _) = database.url.split_once("application_name=").unwrap();
    let mut conn = take(&pool(url, &[])).await;
    assert_eq!(
        ask(&mut conn, "current_setting('application_name')").await,
        "truegate"
    );
    drop(conn);
}

#[tokio::test]
async fn a_healthy_connection_is_used_again() {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[]);
    let first = backend(&mut *take(&pool).await).await;
    for _ in 0..20 {
        assert_eq!(backend(&mut *take(&pool).await).await, first);
    }
    // A transaction that was ended, either way.
    let mut conn = take(&pool).await;
    let ended = conn
        .transaction(async |_| Err::<(), _>(DieselError::RollbackTransaction))
        .await;
    assert!(ended.is_err());
    drop(conn);
    // An answer whose end nobody waited for.
    let mut conn = take(&pool).await;
    ask(&mut conn, "SELECT repeat('x', 5000000)").await;
    let idle =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1::text::int AND state = 'idle')";
    until(&database.connect().await, idle, &first).await;
    drop(conn);
    assert_eq!(backend(&mut *take(&pool).await).await, first);
}

/// Waits until Postgres says so of one of its processes.
async fn until(client: &Client, so: &str, pid: &str) {
    while !client
        .query_one(so, &[&pid])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {}
}

#[tokio::test]
async fn one_that_is_at_work_is_not_and_its_work_is_cancelled() {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[]);
    let mut conn = take(&pool).await;
    let first = backend(&mut conn).await;
    let client = database.connect().await;
    let sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1::text::int AND wait_event = 'PgSleep')";
    tokio::select! {
        _ = ask(&mut conn, "SELECT 'mine' FROM pg_sleep(600)") => panic!("it does not end"),
        () = until(&client, sleeps, &first) => {}
    }
    drop(conn);
    let mut conn = take(&pool).await;
    assert_ne!(backend(&mut conn).await, first);
    let sleeping =
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {first} AND state = 'active'");
    while ask(&mut conn, &sleeping).await != "0" {}
}

#[tokio::test]
async fn one_in_a_transaction_is_not_used_again() {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[]);
    let mut conn = take(&pool).await;
    let first = backend(&mut conn).await;
    conn.batch_execute("BEGIN").await.unwrap();
    drop(conn);
    let mut conn = take(&pool).await;
    let second = backend(&mut conn).await;
    assert_ne!(second, first);
    let left = timeout(
        Duration::from_millis(50),
        conn.transaction::<(), DieselError, _>(async |conn| {
            ask(conn, "1").await;
            std::future::pending().await
        }),
    );
    assert!(left.await.is_err());
    drop(conn);
    assert_ne!(backend(&mut *take(&pool).await).await, second);
}

#[tokio::test]
async fn one_that_postgres_has_closed_is_not_used_again() {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[]);
    let mut conns = vec![take(&pool).await, take(&pool).await, take(&pool).await];
    let mut killer = conns.pop().unwrap();
    for conn in &mut conns {
        let kill = format!("pg_terminate_backend({}, 5000)", backend(conn).await);
        assert_eq!(ask(&mut killer, &kill).await, "true");
    }
    drop((conns, killer));
    for _ in 0..3 {
        backend(&mut *take(&pool).await).await;
    }
}

#[tokio::test]
async fn connections_end_when_they_are_old_or_idle() {
    let database = Database::empty().await;
    let pool_of = |settings| pool(&database.url, settings);
    let short = pool_of(&[
        ("GOTRUE_DB_CONN_MAX_LIFETIME", "1ms"),
        ("GOTRUE_DB_HEALTH_CHECK_PERIOD", "1h"),
    ]);
    let mut conn = take(&short).await;
    let first = backend(&mut conn).await;
    ask(&mut conn, "pg_sleep(0.002)").await;
    drop(conn);
    assert_ne!(backend(&mut *take(&short).await).await, first);
    short.close();

    let client = database.connect().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for (settings, left) in [
        (&[("GOTRUE_DB_CONN_MAX_IDLE_TIME", "100ms")][..], 0),
        (&[("GOTRUE_DB_CONN_MAX_LIFETIME", "100ms")], 0),
        (
            &[
                ("GOTRUE_DB_MAX_IDLE_POOL_SIZE", "1"),
                ("GOTRUE_DB_HEALTH_CHECK_PERIOD", "10ms"),
            ],
            1,
        ),
    ] {
        let pool = pool_of(settings);
        let both = (take(&pool).await, take(&pool).await);
        assert!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) >= 2);
        drop(both);
        while client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) != left {}
        backend(&mut *take(&pool).await).await;
        pool.close();
        while client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) != 0 {}
    }
}

#[tokio::test]
async fn there_are_as_many_as_allowed() {
    let database = Database::empty().await;
    let limit: u32 = ask(
        &mut *take(&pool(&database.url, &[])).await,
        "current_setting('max_connections')",
    )
    .await
    .parse()
    .unwrap();
    let percentage = (300 / limit).max(1);
    let share = (limit * percentage / 100).max(1).to_string();
    let percentage = percentage.to_string();
    for settings in [
        &[
            ("GOTRUE_DB_MAX_POOL_SIZE", share.as_str()),
            ("TRUEGATE_DB_WAIT", "5s"),
        ][..],
        &[
            ("GOTRUE_DB_CONN_PERCENTAGE", &percentage),
            ("TRUEGATE_DB_WAIT", "5s"),
        ],
    ] {
        let pool = pool(&database.url, settings);
        let mut taken = Vec::new();
        let refused = loop {
            match pool.get().await {
                Ok(conn) => taken.push(conn),
                Err(error) => break cause_of_unavailable(error),
            }
        };
        assert_eq!(
            (taken.len().to_string(), refused.as_str()),
            (share.clone(), "no connection to the database within 5s")
        );
        taken.pop();
        backend(&mut *take(&pool).await).await;
    }
}

#[tokio::test]
async fn a_closed_pool_has_none() {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[]);
    let mut conn = take(&pool).await;
    pool.close();
    cause_of_unavailable(pool.get().await.err().unwrap());
    backend(&mut conn).await;
}

#[tokio::test]
async fn what_a_trigger_raises_keeps_its_state() {
    let database = Database::empty().await;
    let mut conn = take(&pool(&database.url, &[])).await;
    for (code, statement) in [
        (
            "PT403",
            "RAISE EXCEPTION 'not you' USING ERRCODE = 'PT403', HINT = 'ask', DETAIL = 'why'",
        ),
        ("P0001", "RAISE EXCEPTION 'no' USING COLUMN = 'email'"),
        ("23000", "RAISE EXCEPTION 'no' USING ERRCODE = '23000'"),
        ("22012", "PERFORM 1 / 0"),
        ("42P01", "PERFORM * FROM nowhere"),
    ] {
        let sql = format!("DO $$ BEGIN {statement}; END $$");
        for error in [
            conn.batch_execute(&sql).await.unwrap_err(),
            diesel_async::RunQueryDsl::execute(diesel::sql_query(&sql), &mut conn)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(sqlstate(&error), Some(code), "{error}");
            let DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) = &error else {
                panic!("{error}")
            };
            if code == "PT403" {
                assert_eq!(
                    (info.message(), info.hint(), info.details()),
                    ("not you", Some("ask"), Some("why"))
                );
            }
            assert!(matches!(Error::from(error), Error::Failed(_)));
        }
    }
    conn.batch_execute("CREATE TEMP TABLE t (a int UNIQUE NOT NULL); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let unique = conn
        .batch_execute("INSERT INTO t VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&unique), Some("23505"));
    let missing = conn
        .batch_execute("INSERT INTO t VALUES (NULL)")
        .await
        .unwrap_err();
    let DieselError::DatabaseError(_, info) = &missing else {
        panic!()
    };
    assert_eq!(
        (sqlstate(&missing), info.column_name()),
        (Some("23502"), Some("a"))
    );
}

#[tokio::test]
async fn the_server_is_what_was_asked_for() {
    let database = Database::empty().await;
    let reached = async |role: &str| {
        let pool = pool(
            &with(&database.url, &format!("target_session_attrs={role}")),
            &[],
        );
        match pool.get().await {
            Ok(_) => true,
            Err(error) => {
                let cause = cause_of_unavailable(error);
                assert!(
                    cause.contains("is not what target_session_attrs asks for"),
                    "{cause}"
                );
                false
            }
        }
    };
    for role in ["any", "read-write", "primary", "prefer-standby"] {
        assert!(reached(role).await, "{role}");
    }
    for role in ["read-only", "standby"] {
        assert!(!reached(role).await, "{role}");
    }
    let client = database.connect().await;
    let name: String = client
        .query_one("SELECT current_database()::text", &[])
        .await
        .unwrap()
        .get(0);
    client
        .batch_execute(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on"
        ))
        .await
        .unwrap();
    assert!(reached("read-only").await && !reached("read-write").await && reached("primary").await);
}

#[tokio::test]
async fn migrations_may_have_a_url_of_their_own() {
    let database = Database::empty().await;
    let nowhere = "postgres://127.0.0.1:1/x";
    let pool = pool(
        nowhere,
        &[("TRUEGATE_MIGRATION_DATABASE_URL", &database.url)],
    );
    assert!(pool.get().await.is_err());
    let client = pool.direct().await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
}
