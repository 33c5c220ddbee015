//! Questions that share statements.

use std::sync::{Arc, Mutex};

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use truegate::db::{Batch, Conn, in_order, statement};
use truegate::error::Error;

use super::pool;
use crate::support::database::Database;

/// What Postgres is to divide a thousand by.
#[derive(Clone)]
struct Divisor {
    number: i64,
    /// How many questions each statement had.
    sizes: Arc<Mutex<Vec<usize>>>,
}

#[derive(QueryableByName)]
struct Quotient {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = BigInt)]
    quotient: i64,
}

fn divide<'a>(conn: &'a mut Conn, divisors: &'a [Divisor]) -> Asked<'a> {
    let sql = "select n, 1000 / number as quotient from unnest((select $1::bigint[])) with ordinality q(number, n) where number < 1000";
    ask(conn, divisors, sql)
}

fn divide_at_gate<'a>(conn: &'a mut Conn, divisors: &'a [Divisor]) -> Asked<'a> {
    let sql = "select n, public.wait_at_gate(number) as quotient from unnest((select $1::bigint[])) with ordinality q(number, n)";
    ask(conn, divisors, sql)
}

type Asked<'a> = BoxFuture<'a, diesel::QueryResult<Vec<Option<i64>>>>;

fn ask<'a>(conn: &'a mut Conn, divisors: &'a [Divisor], sql: &'static str) -> Asked<'a> {
    async move {
        divisors[0].sizes.lock().unwrap().push(divisors.len());
        let numbers: Vec<i64> = divisors.iter().map(|divisor| divisor.number).collect();
        assert!(!numbers.contains(&i64::MAX), "a bug in the question");
        let rows: Vec<Quotient> = statement(sql)
            .bind::<Array<BigInt>, _>(numbers)
            .load(conn)
            .await?;
        let rows = in_order(divisors.len(), rows, |row| row.n);
        Ok(rows
            .into_iter()
            .map(|row| row.map(|row| row.quotient))
            .collect())
    }
    .boxed()
}

struct Divisions {
    batch: Batch<Divisor, Option<i64>>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Divisions {
    fn on(database: &str, together: bool) -> Self {
        Self {
            batch: Batch::new(pool(database, &[]), divide, together),
            sizes: Arc::default(),
        }
    }

    async fn ask(&self, number: i64) -> Result<Option<i64>, Error> {
        let sizes = Arc::clone(&self.sizes);
        self.batch.ask(Divisor { number, sizes }).await
    }

    /// All at once.
    async fn ask_all(
        &self,
        numbers: impl IntoIterator<Item = i64>,
    ) -> Vec<Result<Option<i64>, Error>> {
        join_all(numbers.into_iter().map(|number| self.ask(number))).await
    }

    fn take_sizes(&self) -> Vec<usize> {
        std::mem::take(&mut self.sizes.lock().unwrap())
    }
}

#[tokio::test]
async fn who_waits_together_shares_statements_and_gets_the_own_answer() {
    let database = Database::new().await;
    let divisions = Divisions::on(&database.url, true);
    assert_eq!(divisions.ask(10).await.unwrap(), Some(100));
    assert_eq!(divisions.take_sizes(), [1], "nobody waits for company");
    let answers = divisions.ask_all(1..=200).await;
    for (number, answer) in (1..).zip(answers) {
        assert_eq!(answer.unwrap(), Some(1000 / number));
    }
    let sizes = divisions.take_sizes();
    assert_eq!(sizes.iter().sum::<usize>(), 200);
    assert!(sizes.iter().all(|size| *size <= 32), "{sizes:?}");
    assert!(sizes.len() <= 20, "{sizes:?}");
    assert_eq!(divisions.ask(1000).await.unwrap(), None, "no row for it");
}

#[tokio::test]
async fn without_it_each_has_a_statement() {
    let database = Database::new().await;
    let divisions = Divisions::on(&database.url, false);
    divisions.ask_all(1..=20).await;
    assert_eq!(divisions.take_sizes(), [1; 20]);
}

#[tokio::test]
async fn a_bad_question_harms_no_other() {
    let database = Database::new().await;
    let divisions = Divisions::on(&database.url, true);
    let answers = divisions.ask_all([1, 2, 0, 4, 5]).await;
    for (number, answer) in [1, 2, 0, 4, 5].into_iter().zip(answers) {
        match number {
            0 => assert!(matches!(answer, Err(Error::Failed(_))), "{answer:?}"),
            _ => assert_eq!(answer.unwrap(), Some(1000 / number)),
        }
    }
    assert!(divisions.ask(0).await.is_err());
}

#[tokio::test]
async fn a_panic_ends_its_statement_and_no_other() {
    let database = Database::new().await;
    let divisions = Divisions::on(&database.url, true);
    assert!(divisions.ask(i64::MAX).await.is_err());
    assert_eq!(divisions.ask(10).await.unwrap(), Some(100));
}

#[tokio::test]
async fn all_are_told_that_the_database_is_away() {
    let divisions = Divisions::on("postgres://nobody@127.0.0.1:1/none", true);
    for answer in divisions.ask_all(1..=3).await {
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_statement_that_hangs_holds_nobody_else_up() {
    let database = Database::new().await;
    let rows = database.connect().await;
    let gate = "CREATE TABLE public.gate (); CREATE FUNCTION public.wait_at_gate(bigint) RETURNS bigint LANGUAGE plpgsql AS \
        'BEGIN IF $1 = 999 THEN LOCK TABLE public.gate; END IF; RETURN 1000 / $1; END'";
    for sql in [gate, "BEGIN; LOCK TABLE public.gate"] {
        rows.batch_execute(sql).await.unwrap();
    }
    let divisions = Divisions {
        batch: Batch::new(pool(&database.url, &[]), divide_at_gate, true),
        sizes: Arc::default(),
    };
    let (first, ()) = tokio::join!(divisions.ask(999), async {
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))";
        while !rows.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {}
        assert_eq!(divisions.ask(10).await.unwrap(), Some(100));
        rows.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(first.unwrap(), Some(1));
}
