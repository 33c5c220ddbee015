//! A transaction whose BEGIN and COMMIT cost no round trip of their own: they travel with the statements next to them.
//! (A connection takes statements before it has answered the ones before, and Postgres executes them in turn.)

use std::pin::pin;

use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt as _;
use futures_util::future::{Either, join, select};
use tokio::task::unconstrained;

use super::{Conn, statement};
use crate::error::{Error, Result, UNEXPECTED_FAILURE, failed};

/// Runs `act` in a transaction. BEGIN goes ahead of its first statement; `Err` rolls back; `Ok` gives the last writes,
/// and COMMIT follows on their heels.
///
/// None of the last writes may wait for another: they are joined. One that is still waiting when COMMIT is answered is
/// an error; one that was sent behind COMMIT and answered with it cannot be told from the others. Only Postgres may
/// refuse them, for then it has rolled back.
pub async fn transaction<T, W>(mut conn: &Conn, act: impl Future<Output = Result<W>>) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let (begun, acted) = join((&mut &*conn).batch_execute("BEGIN"), act).await;
    begun?;
    let last = match acted {
        Ok(last) => pin!(last),
        Err(error) => {
            // Where this fails, the pool finds the transaction open and gives the connection up.
            let _ = conn.batch_execute("ROLLBACK").await;
            return Err(error);
        }
    };
    // Prepared like the others: it queues behind them even where they are yet to be prepared.
    let commit = statement("commit").execute(&mut conn);
    let (written, committed) = match select(last, commit).await {
        Either::Left((written, commit)) => (written, commit.await),
        // Both may have been answered between two looks: then this one is there as well.
        Either::Right((committed, last)) => {
            let written = unconstrained(last).now_or_never();
            (written.ok_or_else(overtaken)?, committed)
        }
    };
    let written = written?;
    committed?;
    Ok(written)
}

/// COMMIT was answered before the last write.
fn overtaken() -> Error {
    let cause = anyhow::anyhow!("one of the last writes waited for something");
    failed(UNEXPECTED_FAILURE, cause)
}
