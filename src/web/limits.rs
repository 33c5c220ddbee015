//! How often: GoTrue's limits per client (`api/apilimiter`) and for the whole process (`ratelimit`).
//!
//! Who a client is says [`client_ip::limit_key`](super::client_ip::limit_key). Time is given.

mod pace;
mod table;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::config::{Config, Rate, RateLimits};
use crate::error::{Code, Result, too_many_requests};
use pace::{Moment, Pace, moment};
use table::Table;

/// What is limited per client, each for itself; they are named after their routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// POST /signup without e-mail and phone.
    AnonymousSignIns,
    /// POST /signup
    Signups,
    /// POST /token, all grants but web3 together.
    Token,
    /// POST /token, grant web3.
    Web3,
    /// POST /otp
    Otp,
    /// POST /magiclink
    MagicLink,
    /// POST /recover
    Recover,
    /// POST /resend
    Resend,
    /// GET and POST /verify
    Verify,
    /// PUT /user
    User,
}

/// All limiters of a process.
#[derive(Debug)]
pub struct Limits {
    anonymous: Pace,
    token: Pace,
    web3: Pace,
    verify: Pace,
    /// All that send mail, and PUT /user.
    otp: Pace,
    clients: Mutex<Table>,
    no_mail: bool,
    mail: Mutex<Global>,
    messages: Mutex<Global>,
    /// Numbers to which a message was sent, until when no other is; as long as no user's row says so.
    numbers: Mutex<HashMap<String, Timestamp>>,
}

impl Limits {
    /// All limiters, full.
    #[must_use]
    pub fn new(config: &Config, now: Timestamp) -> Self {
        let rates = &config.rate_limit;
        let has_header = rates
            .header
            .as_deref()
            .is_some_and(|header| !header.is_empty());
        let is_used = has_header || config.security.sb_forwarded_for_enabled;
        Self::at(rates, is_used, now)
    }

    /// The limiters at these rates; without `is_used` those per client take no memory and refuse nobody.
    fn at(rates: &RateLimits, is_used: bool, now: Timestamp) -> Self {
        const FIVE_MINUTES: Duration = Duration::from_mins(5);
        const HOUR: Duration = Duration::from_hours(1);
        const BURST: f64 = 30.0;
        /// GoTrue's default of `RATE_LIMIT_WEB3`.
        const WEB3: f64 = 30.0;
        Self {
            anonymous: Pace::per(rates.anonymous_users, HOUR, rates.anonymous_users),
            token: Pace::per(rates.token_refresh, FIVE_MINUTES, BURST),
            web3: Pace::per(WEB3, FIVE_MINUTES, BURST),
            verify: Pace::per(rates.verify, FIVE_MINUTES, BURST),
            otp: Pace::per(rates.otp, FIVE_MINUTES, BURST),
            clients: Mutex::new(Table::new(is_used)),
            no_mail: rates.email_sent.is_zero(),
            mail: Mutex::new(Global::new(rates.email_sent, now)),
            messages: Mutex::new(Global::new(rates.sms_sent, now)),
            numbers: Mutex::default(),
        }
    }

    /// Counts a request against its client's bucket, and refuses it when that is empty.
    pub fn take(&self, bucket: Bucket, client: &str, now: Timestamp) -> Result<()> {
        let pace = match bucket {
            Bucket::AnonymousSignIns => self.anonymous,
            Bucket::Token => self.token,
            Bucket::Web3 => self.web3,
            Bucket::Verify => self.verify,
            Bucket::Signups
            | Bucket::Otp
            | Bucket::MagicLink
            | Bucket::Recover
            | Bucket::Resend
            | Bucket::User => self.otp,
        };
        lock(&self.clients)
            .take((bucket, client), pace, moment(now))
            .map_err(|wait| {
                too_many_requests(
                    Code::OverRequestRateLimit,
                    "Request rate limit reached",
                    wait,
                )
            })
    }

    /// Counts a mail, or tells after how long another may be sent (none: never). Where addresses are confirmed by
    /// themselves (`MAILER_AUTOCONFIRM`) mails are not counted, but a limit of zero still holds.
    pub fn mail(&self, autoconfirm: bool, now: Timestamp) -> Result<(), Option<Duration>> {
        match (self.no_mail, autoconfirm) {
            (true, _) => Err(None),
            (false, true) => Ok(()),
            (false, false) => lock(&self.mail).take(now),
        }
    }

    /// Reserves a number for a message `every` so often, or tells after how long it will be free.
    pub fn reserve(&self, number: &str, every: Duration, now: Timestamp) -> Result<(), Duration> {
        let mut numbers = lock(&self.numbers);
        numbers.retain(|_, until| now < *until);
        if let Some(until) = numbers.get(number) {
            return Err((*until - now).to_std().unwrap_or_default());
        }
        let until = TimeDelta::from_std(every)
            .ok()
            .and_then(|every| now.checked_add_signed(every));
        numbers.insert(number.to_owned(), until.unwrap_or(Timestamp::MAX_UTC));
        Ok(())
    }

    /// The number is free again.
    pub fn release(&self, number: &str) {
        lock(&self.numbers).remove(number);
    }

    /// Counts a text message, or tells after how long another may be sent (none: never).
    pub fn message(&self, now: Timestamp) -> Result<(), Option<Duration>> {
        lock(&self.messages).take(now)
    }
}

/// Counters are right after every line, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A limit for the whole process.
#[derive(Debug)]
enum Global {
    /// So many in each hour since the start.
    Hourly {
        size: u64,
        taken: u64,
        since: Timestamp,
    },
    /// A bucket, and when it will be full again.
    Bucket(Pace, Moment),
}

impl Global {
    fn new(rate: Rate, now: Timestamp) -> Self {
        match rate {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "GoTrue drops the fraction; `as` saturates"
            )]
            Rate::Hourly(events) => Self::Hourly {
                size: events as u64,
                taken: 0,
                since: now,
            },
            Rate::Bucket { size, refill } => Self::Bucket(Pace::new(size, refill), 0),
        }
    }

    /// Takes one, or tells after how long there will be one (none: never).
    fn take(&mut self, now: Timestamp) -> Result<(), Option<Duration>> {
        const HOUR: TimeDelta = TimeDelta::hours(1);
        match self {
            Self::Bucket(pace, full) => pace.take(full, moment(now)),
            Self::Hourly { size: 0, .. } => Err(None),
            Self::Hourly { size, taken, since } => {
                // A clock that was set back starts another hour.
                *since = now.min(*since);
                let hours = (now - *since).num_hours();
                if hours > 0 {
                    *since += TimeDelta::hours(hours);
                    *taken = 0;
                }
                if taken < size {
                    *taken += 1;
                    return Ok(());
                }
                Err((*since + HOUR - now).to_std().ok())
            }
        }
    }
}

#[cfg(test)]
mod tests;
