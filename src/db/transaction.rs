//! A transaction whose BEGIN and COMMIT cost no round trip of their own: they travel with the statements next to them.
//! (A connection takes statements before it has answered the ones before, and Postgres executes them in turn.)

use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::join;

use super::{Conn, statement};
use crate::error::Result;

/// Runs `act` in a transaction. BEGIN goes ahead of its first statement; `Err` rolls back; `Ok` gives the last writes,
/// and COMMIT follows on their heels.
///
/// None of the last writes may wait for another: they are joined. Only Postgres may refuse them, for then it has
/// rolled back.
pub async fn transaction<T, W>(mut conn: &Conn, act: impl Future<Output = Result<W>>) -> Result<T>
where
    W: Future<Output = Result<T>>,
{
    let (begun, acted) = join((&mut &*conn).batch_execute("BEGIN"), act).await;
    begun?;
    let last = match acted {
        Ok(last) => last,
        Err(error) => {
            // Where this fails, the pool finds the transaction open and gives the connection up.
            let _ = conn.batch_execute("ROLLBACK").await;
            return Err(error);
        }
    };
    // Prepared like the others: it queues behind them even where they are yet to be prepared.
    let commit = statement("commit").execute(&mut conn);
    let (written, committed) = join(last, commit).await;
    let written = written?;
    committed?;
    Ok(written)
}
