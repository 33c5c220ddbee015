//! Connections to a real Postgres: how they come about, which are used again, and what happens when it is away.

use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use truegate::config::Config;
use truegate::db::{Conn, Pool, PooledConn};
use truegate::error::Error;

mod away;
mod batch;
mod sessions;
mod tls;
mod transactions;

/// A pool with these settings besides those that every configuration needs.
fn pool(url: &str, settings: &[(&str, &str)]) -> Pool {
    let needed = [
        (
            "GOTRUE_JWT_SECRET",
            "super-secret-jwt-token-with-at-least-32-characters-long",
        ),
        ("GOTRUE_SITE_URL", "http://localhost:3000"),
        ("API_EXTERNAL_URL", "http://localhost:9999"),
        ("DATABASE_URL", url),
        ("TRUEGATE_DB_WAIT", "1m"),
    ];
    let config = Config::from_pairs(needed.iter().chain(settings).copied());
    Pool::new(&config.unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

async fn take(pool: &Pool) -> PooledConn {
    pool.get().await.unwrap_or_else(|error| panic!("{error:?}"))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// The one text that `question` selects.
async fn try_ask(conn: &mut Conn, question: &str) -> diesel::QueryResult<String> {
    let sql = format!("SELECT ({question})::text AS answer");
    let answer: Answer = diesel::sql_query(sql).get_result(conn).await?;
    Ok(answer.answer)
}

async fn ask(conn: &mut Conn, question: &str) -> String {
    try_ask(conn, question).await.unwrap()
}

/// Which server process this connection talks to.
async fn backend(conn: &mut Conn) -> String {
    ask(conn, "pg_backend_pid()").await
}

#[track_caller]
fn cause_of_unavailable(error: Error) -> String {
    match error {
        Error::Unavailable(unavailable) => format!("{:#}", unavailable.cause.unwrap()),
        other => panic!("{other:?}"),
    }
}
