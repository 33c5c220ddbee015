//! How often something may be done. Per-client limits count only where HEADER names the client.

use std::time::Duration;

use super::go;
use super::settings::settings;
use super::value::Value;

settings! {
    /// How often something may be done.
    pub struct RateLimits("GOTRUE_RATE_LIMIT_") {
        /// Header that tells one client from another; empty: the limits per client are off.
        header: Option<String> = "",
        /// Mails: a number per hour, or N/duration: N at once, and one more each duration.
        email_sent: Rate = "30",
        /// Text messages, likewise.
        sms_sent: Rate = "30",
        /// /verify: a number in five minutes per client.
        verify: f64 = "30",
        /// Refreshing tokens: a number in five minutes per client.
        token_refresh: f64 = "150",
        /// /otp, /magiclink, /recover, /resend, ..: a number in five minutes per client.
        otp: f64 = "30",
        /// Anonymous sign-in: a number per hour and client.
        anonymous_users: f64 = "30",
    }
}

/// A limit for the whole server (GoTrue's `conf/rate.go`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many per hour, counted in windows from the start of the process.
    Hourly(f64),
    /// A bucket that is full at the start and gets one back each `refill`.
    Bucket {
        /// How many at once.
        size: u64,
        /// How long until one comes back.
        refill: Duration,
    },
}

impl Rate {
    /// Whether nothing is allowed at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        match self {
            Self::Hourly(events) => events == 0.0,
            Self::Bucket { size, .. } => size == 0,
        }
    }
}

impl Value for Rate {
    const FORM: &'static str = "a number per hour such as 30, or a burst such as 10/1m";

    fn parse(text: &str) -> Option<Self> {
        /// GoTrue's refill where the duration is 0.
        const HOUR: Duration = Duration::from_hours(1);

        let Some((size, refill)) = text.split_once('/') else {
            return go::float(text).map(Self::Hourly);
        };
        let size = size
            .parse()
            .ok()
            .filter(|_| size.starts_with(|c: char| c.is_ascii_digit()))?;
        let refill = go::duration(refill)?;
        Some(Self::Bucket {
            size,
            refill: if refill.is_zero() { HOUR } else { refill },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_hourly_or_a_bucket() {
        let bucket = |size, seconds| {
            Some(Rate::Bucket {
                size,
                refill: Duration::from_secs(seconds),
            })
        };
        assert_eq!(Rate::parse("30"), Some(Rate::Hourly(30.0)));
        assert_eq!(Rate::parse("0.5"), Some(Rate::Hourly(0.5)));
        assert_eq!(Rate::parse("10/1m30s"), bucket(10, 90));
        assert_eq!(Rate::parse("10/0s"), bucket(10, 3600));
        for text in [
            "", "-1", "1.5/1h", "+1/1h", "1/", "/1h", "1/1h/1h", "1/60", "0x1/1h", "inf",
        ] {
            assert_eq!(Rate::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn zero_is_zero_in_both_forms() {
        assert!(Rate::Hourly(0.0).is_zero());
        assert!(Rate::parse("0/1h").unwrap().is_zero());
        assert!(!Rate::Hourly(0.1).is_zero());
    }
}
