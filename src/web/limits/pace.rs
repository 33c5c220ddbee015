//! A bucket of tokens that refills steadily, kept as one number: the moment at which it is full again.

use std::time::Duration;

use crate::clock::Timestamp;

/// How fast a bucket refills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Microseconds until one comes back.
    interval: u64,
    size: u64,
}

/// A moment in microseconds of Unix time; 0 is long past, so a bucket of that kind is full.
pub type Moment = u64;

/// The moment of a time.
pub fn moment(time: Timestamp) -> Moment {
    u64::try_from(time.timestamp_micros()).unwrap_or_default()
}

impl Pace {
    /// `size` at once, and one more after each `refill`.
    pub fn new(size: u64, refill: Duration) -> Self {
        let interval = u64::try_from(refill.as_micros()).unwrap_or(u64::MAX);
        Self { interval, size }
    }

    /// So many per `period`, `size` at once. GoTrue forgets a client's bucket an hour after it was first asked for;
    /// that shows only where none ever comes back, and there it stands for the refill.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "`as` saturates, and 2^53 microseconds are for ever"
    )]
    pub fn per(count: f64, period: Duration, size: f64) -> Self {
        const FORGOTTEN: Duration = Duration::from_hours(1);
        let size = size as u64;
        let (period, count) = if count > 0.0 {
            (period, count)
        } else {
            (FORGOTTEN, size.max(1) as f64)
        };
        Self {
            interval: (period.as_micros() as f64 / count) as u64,
            size,
        }
    }

    /// Takes one from a bucket that is full again at `full`, or tells after how long there will be one (none: never).
    pub fn take(self, full: &mut Moment, now: Moment) -> Result<(), Option<Duration>> {
        let whole = self.interval.saturating_mul(self.size);
        // A bucket that is emptier than empty is from before the clock was set back.
        *full = (*full).clamp(now, now.saturating_add(whole));
        let after = (*full).saturating_add(self.interval);
        match (after - now).checked_sub(whole) {
            _ if self.size == 0 => Err(None),
            None | Some(0) => {
                *full = after;
                Ok(())
            }
            Some(wait) => Err(Some(Duration::from_micros(wait))),
        }
    }
}
