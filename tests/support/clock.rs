//! A clock that tests set.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use truegate::clock::{Clock, SystemClock, Timestamp};

/// Starts at the machine's time and stands still, but for one microsecond at each reading,
/// so that what happened later is later in every list.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn new() -> Self {
        Self(AtomicI64::new(SystemClock.now().timestamp_micros()))
    }

    /// Moves to the machine's time where it is behind: the database tells that time.
    pub fn catch_up(&self) {
        self.0
            .fetch_max(SystemClock.now().timestamp_micros(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by: TimeDelta) {
        self.0
            .fetch_add(by.num_microseconds().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let micros = self.0.fetch_add(1, Ordering::SeqCst);
        DateTime::<Utc>::from_timestamp_micros(micros).unwrap()
    }
}
