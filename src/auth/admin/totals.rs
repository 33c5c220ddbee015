//! How many users a list has in all. In a small audience they are counted for each list; in a large one, where counting
//! reads the whole table, the number is remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use tokio::sync::Mutex as Turn;

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Result, UNEXPECTED_FAILURE, failed};
use crate::models::user::User;

/// In an audience of so many users every number is exact.
const FEW: i64 = 100_000;
/// Beyond, a number may be so old ..
const OLDEST: TimeDelta = TimeDelta::seconds(10);
/// .. or so many times as old as counting took, where that is more: Postgres has other things to do as well.
const RESTS: i32 = 10;
/// How many numbers are remembered ..
const MOST: usize = 64;
/// .. and for names of which length.
const LONGEST: usize = 256;

/// What this process remembers.
#[derive(Debug, Default)]
pub struct Totals(Mutex<HashMap<List, Arc<Memory>>>);

/// An audience, and what its users are searched for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct List {
    aud: String,
    filter: String,
}

#[derive(Debug, Default)]
struct Memory {
    known: Mutex<Known>,
    /// Of who counts.
    turn: Arc<Turn<()>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Known {
    #[default]
    Nothing,
    /// The audience is small.
    Few,
    Many(Many),
}

/// A number from a large audience.
#[derive(Debug, Clone, Copy)]
struct Many {
    matching: i64,
    counted_at: Timestamp,
    oldest: TimeDelta,
}

impl Many {
    fn is_good(self, now: Timestamp) -> bool {
        (TimeDelta::zero()..=self.oldest).contains(&(now - self.counted_at))
    }

    /// Worth another count, as long as nobody has to wait for it.
    fn is_ageing(self, now: Timestamp) -> bool {
        now - self.counted_at > self.oldest / 2
    }
}

impl Totals {
    /// The place of a list. Full, it forgets everything: that costs a count each.
    fn memory(&self, list: &List) -> Option<Arc<Memory>> {
        if list.aud.len() + list.filter.len() > LONGEST {
            return None;
        }
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memories.len() >= MOST && !memories.contains_key(list) {
            memories.clear();
        }
        Some(Arc::clone(memories.entry(list.clone()).or_default()))
    }
}

impl Memory {
    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// How many users of an audience match a filter.
pub(super) async fn total(app: &App, aud: &str, filter: &str) -> Result<i64> {
    let (aud, filter) = (aud.to_owned(), filter.to_owned());
    let list = List { aud, filter };
    let Some(memory) = app.totals.memory(&list) else {
        return count(app, &list, &Memory::default()).await;
    };
    let now = app.clock.now();
    match memory.known() {
        Known::Few => count(app, &list, &memory).await,
        Known::Many(many) if many.is_good(now) => {
            if many.is_ageing(now)
                && let Ok(turn) = Arc::clone(&memory.turn).try_lock_owned()
            {
                let app = app.clone();
                tokio::spawn(async move {
                    if let Err(error) = count(&app, &list, &memory).await {
                        tracing::warn!(?error, "users could not be counted");
                    }
                    drop(turn);
                });
            }
            Ok(many.matching)
        }
        Known::Many(_) | Known::Nothing => count_once(app, list, memory).await,
    }
}

/// Counts once for all who ask meanwhile; to its end, even if who asked first has gone.
async fn count_once(app: &App, list: List, memory: Arc<Memory>) -> Result<i64> {
    let turn = Arc::clone(&memory.turn).lock_owned().await;
    if let Known::Many(many) = memory.known()
        && many.is_good(app.clock.now())
    {
        return Ok(many.matching);
    }
    let app = app.clone();
    let counted = tokio::spawn(async move {
        let counted = count(&app, &list, &memory).await;
        drop(turn);
        counted
    });
    counted
        .await
        .map_err(|error| failed(UNEXPECTED_FAILURE, error))?
}

async fn count(app: &App, list: &List, memory: &Memory) -> Result<i64> {
    let mut conn = app.db.get().await?;
    let counted_at = app.clock.now();
    let counted = User::count(&mut conn, &list.aud, &list.filter).await?;
    memory.learn(if counted.audience <= FEW {
        Known::Few
    } else {
        let lasted = app.clock.now() - counted_at;
        Known::Many(Many {
            matching: counted.matching,
            counted_at,
            oldest: OLDEST.max(lasted * RESTS),
        })
    });
    Ok(counted.matching)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let totals = Totals::default();
        let list = |filter: String| List {
            aud: "authenticated".to_owned(),
            filter,
        };
        for number in 0..10 * MOST {
            assert!(totals.memory(&list(number.to_string())).is_some());
        }
        assert!(totals.0.lock().unwrap().len() <= MOST);
        assert!(totals.memory(&list("x".repeat(LONGEST))).is_none());
    }

    #[test]
    fn what_was_counted_in_the_future_is_not_believed() {
        let counted_at = Timestamp::UNIX_EPOCH;
        let many = Many {
            matching: 1,
            counted_at,
            oldest: OLDEST,
        };
        let later = |seconds| counted_at + TimeDelta::seconds(seconds);
        assert!(many.is_good(later(10)) && !many.is_good(later(11)) && !many.is_good(later(-1)));
        assert!(many.is_ageing(later(6)) && !many.is_ageing(later(4)));
    }
}
