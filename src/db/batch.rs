//! Requests of one kind that wait at the same time share one statement.
//!
//! Nobody waits for company: a request that finds a lane free goes at once, alone. What comes while all lanes are
//! busy goes together as soon as one is free, so that statements grow with the load, and their number does not.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use diesel::QueryResult;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Conn, Pool};
use crate::error::{Error, Result};

/// Questions in one statement. Longer ones gain little, and who comes first would wait for who comes last.
const MOST: usize = 32;
/// So many that wait are worth another statement at the same time.
const CROWD: usize = MOST / 2;
/// A statement that takes longer (a lock, the network) gives its lane to others.
const SLOW: Duration = Duration::from_millis(100);

/// Answers all questions by one statement, in their order.
///
/// The statement takes arrays as `unnest((select $1::uuid[]))`: Postgres does not see their length then, and plans it
/// once for all lengths. Else it would plan it anew each time, which costs more than the statement itself.
pub type Ask<Q, A> = for<'a> fn(&'a mut Conn, &'a [Q]) -> BoxFuture<'a, QueryResult<Vec<A>>>;

/// Rows in the order of the questions they answer; `number` tells which question that is, from 1 as Postgres counts
/// with `with ordinality`.
pub fn in_order<T>(count: usize, rows: Vec<T>, number: impl Fn(&T) -> i64) -> Vec<Option<T>> {
    let mut answers: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for row in rows {
        let place = usize::try_from(number(&row) - 1)
            .ok()
            .and_then(|index| answers.get_mut(index));
        if let Some(place) = place {
            *place = Some(row);
        }
    }
    answers
}

/// Asks Postgres questions of one kind, those that wait together in one statement.
pub struct Batch<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    pool: Pool,
    ask: Ask<Q, A>,
    together: bool,
    state: Mutex<State<Q, A>>,
}

struct State<Q, A> {
    waiting: VecDeque<Waiting<Q, A>>,
    /// Lanes in use.
    lanes: usize,
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A>>,
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Batch<Q, A> {
    /// Questions that `ask` answers, on connections of `pool`; not `together`: each by a statement of its own.
    #[must_use]
    pub fn new(pool: Pool, ask: Ask<Q, A>, together: bool) -> Self {
        Self(Arc::new(Shared {
            pool,
            ask,
            together,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                lanes: 0,
            }),
        }))
    }

    /// Asks one question. Whoever leaves before the answer may have had it answered all the same.
    pub async fn ask(&self, question: Q) -> Result<A> {
        if !self.0.together {
            return Box::pin(self.0.ask_alone(&question)).await;
        }
        let (answer, answered) = oneshot::channel();
        let lane_is_free = {
            let mut state = self.0.lock();
            state.waiting.push_back(Waiting { question, answer });
            state.take_lane()
        };
        if lane_is_free {
            tokio::spawn(Arc::clone(&self.0).run());
        }
        answered
            .await
            .unwrap_or_else(|_| Err(anyhow!("a shared statement panicked").into()))
    }
}

impl<Q, A> State<Q, A> {
    fn take_lane(&mut self) -> bool {
        let free = self.lanes <= self.waiting.len() / CROWD;
        self.lanes += usize::from(free);
        free
    }

    /// Who goes together; gives the lane back when nobody waits.
    fn next(&mut self) -> Option<Vec<Waiting<Q, A>>> {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        if self.waiting.is_empty() {
            self.lanes -= 1;
            return None;
        }
        let count = self.waiting.len().min(MOST);
        Some(self.waiting.drain(..count).collect())
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Shared<Q, A> {
    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a lane: one statement after the other, until nobody waits.
    async fn run(self: Arc<Self>) {
        loop {
            let Some(together) = self.lock().next() else {
                return;
            };
            // Whoever waits is told of a panic by the end of the channel.
            let mut answered = pin!(AssertUnwindSafe(Self::answer(&self, together)).catch_unwind());
            if timeout(SLOW, &mut answered).await.is_ok() {
                continue;
            }
            // Others take over the lane.
            tokio::spawn(Arc::clone(&self).run_boxed());
            let _ = answered.await;
            return;
        }
    }

    fn run_boxed(self: Arc<Self>) -> BoxFuture<'static, ()> {
        self.run().boxed()
    }

    async fn answer(&self, together: Vec<Waiting<Q, A>>) {
        let (questions, answers): (Vec<_>, Vec<_>) = together
            .into_iter()
            .map(|waiting| (waiting.question, waiting.answer))
            .unzip();
        // Whoever has asked may have left: no error of this module.
        match self.ask(&questions).await {
            Ok(said) => {
                for (answer, said) in answers.into_iter().zip(said) {
                    let _ = answer.send(Ok(said));
                }
            }
            Err(Error::Unavailable(away)) => {
                let cause = away.cause.map(|cause| format!("{cause:#}"));
                for answer in answers {
                    let cause = anyhow!(cause.clone().unwrap_or_default());
                    let _ = answer.send(Err(Error::database_away(cause)));
                }
            }
            Err(error) => match <[_; 1]>::try_from(answers) {
                Ok([answer]) => drop(answer.send(Err(error))),
                // One of them is bad: the others shall not suffer from it.
                Err(answers) => {
                    for (question, answer) in questions.iter().zip(answers) {
                        let _ = answer.send(self.ask_alone(question).await);
                    }
                }
            },
        }
    }

    async fn ask_alone(&self, question: &Q) -> Result<A> {
        let said = self.ask(std::slice::from_ref(question)).await?;
        let said = said.into_iter().next();
        Ok(said.ok_or_else(|| anyhow!("a question without an answer"))?)
    }

    async fn ask(&self, questions: &[Q]) -> Result<Vec<A>> {
        let mut conn = self.pool.get().await?;
        Ok((self.ask)(&mut conn, questions).await?)
    }
}
