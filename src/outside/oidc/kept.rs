//! What others publish, kept for a while: fetched once for all who ask at the same time, and used on when it is old
//! and cannot be had anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use chrono::TimeDelta;

use crate::clock::Timestamp;

/// How long nobody asks again after a failure, where something old is there.
const REST: TimeDelta = TimeDelta::seconds(30);

/// How long nobody asks again after callers have made us ask before time.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// A document of somebody else's.
pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
    /// Held by who fetches.
    flight: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<Arc<T>>,
    /// Why the last attempt failed.
    failure: Option<String>,
    /// How often it was asked for.
    attempts: u64,
    /// Until when the value is good.
    due: Timestamp,
    /// When it was last asked for before time.
    hurried: Timestamp,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let state = State {
            value: None,
            failure: None,
            attempts: 0,
            due: Timestamp::MIN_UTC,
            hurried: Timestamp::MIN_UTC,
        };
        Self {
            state: Mutex::new(state),
            flight: tokio::sync::Mutex::default(),
        }
    }
}

impl<T> Kept<T> {
    /// The document, not older than `ttl` unless it cannot be had.
    pub(super) async fn get(
        &self,
        now: Timestamp,
        ttl: TimeDelta,
        fetch: impl AsyncFnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Arc<T>> {
        let (old, seen) = {
            let state = self.state();
            match &state.value {
                Some(value) if now < state.due => return Ok(value.clone()),
                old => (old.clone(), state.attempts),
            }
        };
        let _flight = match (self.flight.try_lock(), old) {
            (Ok(flight), _) => flight,
            // Somebody fetches it already; what is old is good enough meanwhile.
            (Err(_), Some(old)) => return Ok(old),
            (Err(_), None) => self.flight.lock().await,
        };
        self.land(seen, now, ttl, fetch).await
    }

    /// The document as it is by now, for who finds `known` outdated. This may be a mistake of the caller's, or a lie,
    /// so the publisher is not asked again soon.
    pub(super) async fn newer(
        &self,
        known: &Arc<T>,
        now: Timestamp,
        ttl: TimeDelta,
        fetch: impl AsyncFnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Arc<T>> {
        let seen = {
            let mut state = self.state();
            match &state.value {
                Some(value) if !Arc::ptr_eq(value, known) => return Ok(value.clone()),
                _ if self.flight.try_lock().is_err() => {}
                Some(value) if now < state.hurried + PAUSE => return Ok(value.clone()),
                _ => state.hurried = now,
            }
            state.attempts
        };
        let _flight = self.flight.lock().await;
        self.land(seen, now, ttl, fetch).await
    }

    /// Fetches, unless somebody has since this caller looked.
    async fn land(
        &self,
        seen: u64,
        now: Timestamp,
        ttl: TimeDelta,
        fetch: impl AsyncFnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Arc<T>> {
        if self.state().attempts == seen {
            let fetched = fetch().await;
            let mut state = self.state();
            state.attempts += 1;
            match fetched {
                Ok(value) => {
                    state.value = Some(Arc::new(value));
                    state.failure = None;
                    state.due = now.checked_add_signed(ttl).unwrap_or(Timestamp::MAX_UTC);
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "an issuer cannot be asked");
                    state.failure = Some(format!("{error:#}"));
                    state.due = now + REST.min(ttl);
                }
            }
        }
        let state = self.state();
        let failure = || anyhow!("{}", state.failure.as_deref().unwrap_or("never asked for"));
        state.value.clone().ok_or_else(failure)
    }

    /// Whether there is something to lose.
    pub(super) fn is_empty(&self) -> bool {
        self.state().value.is_none()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const TTL: TimeDelta = TimeDelta::hours(1);

    fn at(seconds: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// A publisher that counts, and takes its time.
    #[derive(Default)]
    struct Publisher {
        asked: AtomicUsize,
        is_away: bool,
    }

    impl Publisher {
        async fn publish(&self) -> anyhow::Result<usize> {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            anyhow::ensure!(!self.is_away, "away");
            Ok(asked)
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    async fn get(
        kept: &Kept<usize>,
        publisher: &Publisher,
        now: Timestamp,
    ) -> anyhow::Result<usize> {
        let got = kept.get(now, TTL, async || publisher.publish().await).await;
        got.map(|value| *value)
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_are_one_fetch() {
        let (kept, publisher) = (Kept::default(), Publisher::default());
        let all = join_all((0..100).map(|_| get(&kept, &publisher, at(0)))).await;
        assert!(all.into_iter().all(|got| got.unwrap() == 1));
        assert_eq!(get(&kept, &publisher, at(3599)).await.unwrap(), 1);
        assert_eq!(publisher.asked(), 1);
        assert_eq!(get(&kept, &publisher, at(3600)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_shared_as_well_and_the_next_asks_again() {
        let (kept, mut publisher) = (Kept::default(), Publisher::default());
        publisher.is_away = true;
        let all = join_all((0..100).map(|_| get(&kept, &publisher, at(0)))).await;
        assert!(
            all.into_iter()
                .all(|got| got.unwrap_err().to_string() == "away")
        );
        assert_eq!(publisher.asked(), 1);
        publisher.is_away = false;
        assert_eq!(get(&kept, &publisher, at(0)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn what_is_old_is_used_while_it_cannot_be_had_anew() {
        let (kept, mut publisher) = (Kept::default(), Publisher::default());
        assert_eq!(get(&kept, &publisher, at(0)).await.unwrap(), 1);
        publisher.is_away = true;
        let all = join_all((0..100).map(|_| get(&kept, &publisher, at(4000)))).await;
        assert!(all.into_iter().all(|got| got.unwrap() == 1));
        assert_eq!(get(&kept, &publisher, at(4029)).await.unwrap(), 1);
        assert_eq!(publisher.asked(), 2, "it was left alone for a while");
        publisher.is_away = false;
        assert_eq!(get(&kept, &publisher, at(4030)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn who_finds_it_outdated_gets_it_anew_but_not_again_and_again() {
        let (kept, publisher) = (Kept::default(), Publisher::default());
        let publish = async || publisher.publish().await;
        let first = kept.get(at(0), TTL, publish).await.unwrap();
        let hurry = |known: &Arc<usize>, now| {
            let known = known.clone();
            let (kept, publisher) = (&kept, &publisher);
            async move {
                let newer = kept.newer(&known, now, TTL, async || publisher.publish().await);
                newer.await.unwrap()
            }
        };
        let all = join_all((0..100).map(|_| hurry(&first, at(1)))).await;
        assert!(all.iter().all(|newer| **newer == 2));
        assert_eq!(*hurry(&first, at(1)).await, 2, "somebody was faster");
        assert_eq!(*hurry(&all[0], at(5)).await, 2, "too soon");
        assert_eq!(publisher.asked(), 2);
        assert_eq!(*hurry(&all[0], at(6)).await, 3);
    }

    #[tokio::test]
    async fn for_ever_is_a_time_too() {
        let (kept, publisher) = (Kept::default(), Publisher::default());
        let publish = async || publisher.publish().await;
        kept.get(at(0), TimeDelta::MAX, publish).await.unwrap();
        assert_eq!(get(&kept, &publisher, at(1 << 40)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_leaves_it_to_the_next() {
        let (kept, publisher) = (Kept::default(), Publisher::default());
        {
            let mut given_up = Box::pin(get(&kept, &publisher, at(0)));
            assert!(futures_util::poll!(&mut given_up).is_pending());
        }
        assert_eq!(get(&kept, &publisher, at(0)).await.unwrap(), 2);
    }
}
