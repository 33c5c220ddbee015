use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::pace::{Pace, moment};
use super::table::Table;
use super::{Bucket, Limits};
use crate::clock::Timestamp;
use crate::config::{Rate, RateLimits};
use crate::error::{Error, Result};

fn rates() -> RateLimits {
    RateLimits {
        header: Some("X-Real-IP".to_owned()),
        email_sent: Rate::Hourly(30.0),
        sms_sent: Rate::Hourly(30.0),
        verify: 30.0,
        token_refresh: 150.0,
        otp: 30.0,
        anonymous_users: 30.0,
    }
}

fn start() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn after(seconds: f64) -> Timestamp {
    start() + TimeDelta::from_std(Duration::from_secs_f64(seconds)).unwrap()
}

/// `Ok`, or how many seconds to wait.
fn wait(result: Result<()>) -> std::result::Result<(), Option<f64>> {
    match result {
        Ok(()) => Ok(()),
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.status, 429);
            Err(refusal.retry_after.map(|wait| wait.as_secs_f64()))
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn thirty_at_once_then_a_steady_flow() {
    let limits = Limits::at(&rates(), true, start());
    let ask = |seconds| wait(limits.take(Bucket::Verify, "10.0.0.1", after(seconds)));
    for _ in 0..30 {
        assert_eq!(ask(0.0), Ok(()));
    }
    assert_eq!(ask(0.0), Err(Some(10.0)));
    assert_eq!(ask(9.0), Err(Some(1.0)), "a refusal costs nothing");
    assert_eq!(ask(10.0), Ok(()));
    assert_eq!(ask(10.0), Err(Some(10.0)));
    assert_eq!(ask(35.0), Ok(()));
    assert_eq!(ask(35.0), Ok(()));
    assert_eq!(ask(35.0), Err(Some(5.0)));
    for _ in 0..30 {
        assert_eq!(ask(400.0), Ok(()), "full again");
    }
    assert_eq!(ask(400.0), Err(Some(10.0)));
}

#[test]
fn each_client_and_each_bucket_for_itself() {
    let limits = Limits::at(
        &RateLimits {
            anonymous_users: 1.0,
            ..rates()
        },
        true,
        start(),
    );
    let ask = |bucket, client| wait(limits.take(bucket, client, start())).is_ok();
    assert!(ask(Bucket::AnonymousSignIns, "1.2.3.4"));
    assert!(!ask(Bucket::AnonymousSignIns, "1.2.3.4"));
    assert!(ask(Bucket::AnonymousSignIns, "1.2.3.5"));
    assert!((0..30).all(|_| ask(Bucket::Signups, "1.2.3.4")));
    assert!(!ask(Bucket::Signups, "1.2.3.4"));
    assert!(ask(Bucket::Otp, "1.2.3.4"));
    let Err(Error::Refused(refusal)) = limits.take(Bucket::Signups, "1.2.3.4", start()) else {
        panic!()
    };
    assert_eq!(
        (refusal.code.as_str(), &*refusal.message),
        ("over_request_rate_limit", "Request rate limit reached")
    );
}

#[test]
fn where_clients_cannot_be_told_apart_nothing_is_limited() {
    let limits = Limits::at(&rates(), false, start());
    assert!((0..100).all(|_| limits.take(Bucket::Otp, "", start()).is_ok()));
}

#[test]
fn odd_rates() {
    let limits = Limits::at(
        &RateLimits {
            anonymous_users: 0.9,
            otp: 0.0,
            verify: 0.1,
            ..rates()
        },
        true,
        start(),
    );
    let ask = |bucket, seconds| wait(limits.take(bucket, "1", after(seconds)));
    assert_eq!(
        ask(Bucket::AnonymousSignIns, 0.0),
        Err(None),
        "less than one is none"
    );
    for bucket in [Bucket::Otp, Bucket::Verify] {
        assert!((0..30).all(|_| ask(bucket, 0.0).is_ok()));
    }
    assert_eq!(
        ask(Bucket::Otp, 0.0),
        Err(Some(120.0)),
        "GoTrue forgets after an hour"
    );
    assert_eq!(ask(Bucket::Verify, 0.0), Err(Some(3000.0)));
}

#[test]
fn a_clock_set_back_locks_nobody_out() {
    let limits = Limits::at(&rates(), true, start());
    let ask = |seconds| wait(limits.take(Bucket::Otp, "1", after(seconds)));
    assert!((0..30).all(|_| ask(36_000.0).is_ok()));
    assert_eq!(ask(0.0), Err(Some(10.0)));
    assert_eq!(ask(10.0), Ok(()));
    let rate = Rate::Bucket {
        size: 2,
        refill: Duration::from_secs(20),
    };
    for (rate, pause) in [(Rate::Hourly(2.0), 3600_u32), (rate, 20)] {
        let limits = mails(rate, after(36_000.0));
        assert!((0..2).all(|_| limits.mail(false, after(36_000.0)).is_ok()));
        assert_eq!(
            limits.mail(false, after(0.0)),
            Err(Some(Duration::from_secs(pause.into())))
        );
        assert_eq!(limits.mail(false, after(pause.into())), Ok(()));
    }
}

#[test]
fn a_flood_of_keys_costs_nothing() {
    let mut table = Table::new(true);
    let pace = Pace::new(30, Duration::from_secs(10));
    let limited = |table: &mut Table, now| table.take("abuser", pace, now).is_err();
    assert!((0..30).all(|_| !limited(&mut table, moment(start()))));
    for key in 0..200_000 {
        assert!(
            table.take(("flood", key), pace, moment(start())).is_ok(),
            "a new key is never refused"
        );
    }
    assert!(
        limited(&mut table, moment(start())),
        "who is limited stays so"
    );
}

fn mails(rate: Rate, now: Timestamp) -> Limits {
    Limits::at(
        &RateLimits {
            email_sent: rate,
            ..rates()
        },
        false,
        now,
    )
}

#[test]
fn mails_by_the_hour() {
    let limits = mails(Rate::Hourly(2.9), start());
    let send = |seconds| {
        limits
            .mail(false, after(seconds))
            .map_err(|wait| wait.unwrap().as_secs())
    };
    assert_eq!(send(60.0), Ok(()));
    assert_eq!(send(60.0), Ok(()));
    assert_eq!(send(60.0), Err(3540));
    assert_eq!(limits.mail(true, after(60.0)), Ok(()), "not counted");
    assert_eq!(send(3599.0), Err(1));
    assert_eq!(
        send(3600.0),
        Ok(()),
        "hours count from the start of the process"
    );
    assert_eq!(send(25_201.0), Ok(()));
    assert_eq!(send(25_201.0), Ok(()));
    assert_eq!(send(25_201.0), Err(3599));
}

#[test]
fn mails_by_the_bucket() {
    let limits = mails(
        Rate::Bucket {
            size: 2,
            refill: Duration::from_secs(20),
        },
        start(),
    );
    let send = |seconds| {
        limits
            .mail(false, after(seconds))
            .map_err(|wait| wait.unwrap().as_secs())
    };
    assert_eq!(send(0.0), Ok(()));
    assert_eq!(send(5.0), Ok(()));
    assert_eq!(send(5.0), Err(15));
    assert_eq!(send(20.0), Ok(()));
    assert_eq!(send(20.0), Err(20));
    assert_eq!(send(1000.0), Ok(()));
    assert_eq!(send(1000.0), Ok(()));
    assert_eq!(send(1000.0), Err(20));
}

#[test]
fn no_mails_at_all() {
    for rate in [
        Rate::Hourly(0.0),
        Rate::Bucket {
            size: 0,
            refill: Duration::from_secs(1),
        },
    ] {
        let limits = mails(rate, start());
        assert_eq!(limits.mail(false, start()), Err(None));
        assert_eq!(
            limits.mail(true, start()),
            Err(None),
            "even where nothing is confirmed by mail"
        );
    }
}

proptest! {
    /// The number that is kept stands for a bucket of tokens that refills steadily.
    #[test]
    fn equals_a_token_bucket(pauses in prop::collection::vec(0_u32..40, 1..120), burst in 1_u32..5, seconds in 1_u32..20) {
        let mut table = Table::new(true);
        let pace = Pace::new(u64::from(burst), Duration::from_secs(u64::from(seconds)));
        let (mut tokens, mut now) = (burst * seconds, 0);
        for pause in pauses {
            now += pause / 8;
            tokens = (tokens + pause / 8).min(burst * seconds);
            let expected = tokens >= seconds;
            prop_assert_eq!(table.take("client", pace, moment(after(f64::from(now)))).is_ok(), expected);
            tokens -= if expected { seconds } else { 0 };
        }
    }
}
