//! Time is given, never taken: the clock hangs on `App`, and tests set it.

use chrono::{DateTime, SubsecRound, Utc};

/// A moment, in UTC.
pub type Timestamp = DateTime<Utc>;

/// Tells the time. `SystemClock` in production, a settable one in tests.
pub trait Clock: Send + Sync {
    /// Now, to the microsecond: what Postgres can store, so that a value answered
    /// from memory and the same value read back are equal.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}
