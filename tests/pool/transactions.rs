//! A transaction that travels with its statements is all or nothing, whether these are prepared yet or not.

use diesel::sql_types::Integer;
use diesel_async::SimpleAsyncConnection;
use futures_util::future::{join3, pending, ready};
use truegate::db::{statement, transaction};
use truegate::error::Code;

use super::*;
use crate::support::database::Database;

async fn insert(mut conn: &Conn, number: i32) -> truegate::error::Result<()> {
    statement("INSERT INTO numbers VALUES ($1, pg_current_xact_id()::text)")
        .bind::<Integer, _>(number)
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// The same in other words, so that it is another statement to be prepared.
async fn append(mut conn: &Conn, number: i32) -> truegate::error::Result<()> {
    statement("INSERT INTO numbers SELECT $1, pg_current_xact_id()::text")
        .bind::<Integer, _>(number)
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// One connection of a pool that gives no other.
async fn numbers() -> (Database, Pool) {
    let database = Database::empty().await;
    let pool = pool(&database.url, &[("GOTRUE_DB_MAX_POOL_SIZE", "1")]);
    let table = "CREATE SCHEMA auth; CREATE TABLE auth.numbers (n int PRIMARY KEY, xact text)";
    take(&pool).await.batch_execute(table).await.unwrap();
    (database, pool)
}

const ALL: &str = "SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM numbers";

#[tokio::test]
async fn all_of_it_is_one_transaction() {
    let (_database, pool) = numbers().await;
    let mut conn = take(&pool).await;
    // Cold, then warm.
    for round in [0, 10] {
        let tx: &Conn = &conn;
        let sum = transaction(tx, async {
            insert(tx, round + 1).await?;
            Ok(async {
                let last = join3(
                    append(tx, round + 2),
                    insert(tx, round + 3),
                    append(tx, round + 4),
                );
                let (two, three, four) = last.await;
                two.and(three).and(four)?;
                Ok(2 + 3 + 4)
            })
        });
        assert_eq!(sum.await.unwrap(), 9);
    }
    assert_eq!(ask(&mut conn, ALL).await, "1 2 3 4 11 12 13 14");
    let transactions = ask(&mut conn, "SELECT count(DISTINCT xact) FROM numbers").await;
    assert_eq!(transactions, "2");
}

#[tokio::test]
async fn nothing_of_it_stays_when_the_act_refuses() {
    let (_database, pool) = numbers().await;
    let mut conn = take(&pool).await;
    let first = backend(&mut conn).await;
    let tx: &Conn = &conn;
    let refused = transaction(tx, async {
        insert(tx, 1).await?;
        let refusal = truegate::error::bad_request(Code::ValidationFailed, "no");
        Err::<std::future::Ready<truegate::error::Result<()>>, _>(refusal)
    });
    assert_eq!(
        refused.await.unwrap_err().code(),
        Some(Code::ValidationFailed)
    );
    drop(conn);
    let mut conn = take(&pool).await;
    assert_eq!(ask(&mut conn, ALL).await, "");
    assert_eq!(
        backend(&mut conn).await,
        first,
        "the connection is as good as before"
    );
}

#[tokio::test]
async fn nothing_of_it_stays_when_postgres_refuses_a_write() {
    let (_database, pool) = numbers().await;
    let mut conn = take(&pool).await;
    let first = backend(&mut conn).await;
    // Cold, then warm; a write of the act, then one of the last.
    for (early, late) in [(1, 1), (1, 1), (2, 1), (2, 1)] {
        let tx: &Conn = &conn;
        let refused = transaction(tx, async {
            insert(tx, 1).await?;
            insert(tx, early).await?;
            Ok(async {
                let (one, two, three) = join3(append(tx, 3), append(tx, late), insert(tx, 4)).await;
                one.and(two).and(three)
            })
        });
        let cause = format!("{:#}", refused.await.unwrap_err().into_cause());
        assert!(cause.contains("duplicate key"), "the first error: {cause}");
        drop(conn);
        conn = take(&pool).await;
    }
    assert_eq!(ask(&mut conn, ALL).await, "");
    assert_eq!(
        backend(&mut conn).await,
        first,
        "the connection is as good as before"
    );
}

#[tokio::test]
async fn a_last_write_that_waits_holds_nobody_up() {
    let (_database, pool) = numbers().await;
    let conn = take(&pool).await;
    let tx: &Conn = &conn;
    let overtaken = transaction(tx, async {
        Ok(async {
            insert(tx, 1).await?;
            pending::<truegate::error::Result<()>>().await
        })
    });
    let cause = overtaken.await.unwrap_err().into_cause().to_string();
    assert!(cause.contains("waited"), "{cause}");
    transaction(tx, async { Ok(ready(Ok(()))) }).await.unwrap();
}
