//! Time is given, never taken: the clock hangs on `App`, and tests set it.

use std::fmt;

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A moment, in UTC.
pub type Timestamp = DateTime<Utc>;

/// Reads a moment as Postgres writes it in JSON. For serde; where the session's time zone is UTC it is quick.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    struct Moment;
    impl Visitor<'_> for Moment {
        type Value = Timestamp;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a moment in RFC 3339")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
            in_utc(text).map_or_else(|| text.parse().map_err(E::custom), Ok)
        }
    }
    deserializer.deserialize_str(Moment)
}

/// The same, where null is none.
pub fn deserialize_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Moment(#[serde(deserialize_with = "deserialize")] Timestamp);
    Ok(Option::<Moment>::deserialize(deserializer)?.map(|Moment(at)| at))
}

/// `2026-11-21T10:00:00.123456+00:00`, with or without the fraction.
fn in_utc(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix("+00:00")?.as_bytes();
    let number = |from: usize, length: usize| {
        text.get(from..from + length)?
            .iter()
            .try_fold(0_u32, |number, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                Some(number * 10 + digit)
            })
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators
        .iter()
        .any(|(at, separator)| text.get(*at) != Some(separator))
    {
        return None;
    }
    let micros = match text.get(19..)? {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            number(20, digits.len())? * 10_u32.pow(6 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 2)?, number(8, 2)?)?;
    let at = date.and_hms_micro_opt(number(11, 2)?, number(14, 2)?, number(17, 2)?, micros)?;
    Some(at.and_utc())
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_postgres_writes(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000, digits in 0_usize..=6) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let unit = 10_i64.pow(6 - u32::try_from(digits).unwrap());
            let at = DateTime::from_timestamp_micros(at.timestamp_micros().div_euclid(unit) * unit).unwrap();
            let fraction = format!("{:06}", at.timestamp_subsec_micros());
            let dot = if digits > 0 { "." } else { "" };
            let text = format!("{}{dot}{}+00:00", at.format("%Y-%m-%dT%H:%M:%S"), &fraction[..digits]);
            prop_assert_eq!(in_utc(&text), Some(at), "{}", text);
        }

        #[test]
        fn is_never_of_another_opinion_than_chrono(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,7})?(\\+00:00|Z|\\+02:00)") {
            if let Some(at) = in_utc(&text) {
                prop_assert_eq!(text.parse::<Timestamp>().ok(), Some(at));
            }
        }
    }

    #[test]
    fn other_time_zones_are_read_as_well() {
        let mut json = serde_json::Deserializer::from_str("\"2026-11-21T12:00:00.5+02:00\"");
        assert_eq!(
            super::deserialize(&mut json).unwrap(),
            "2026-11-21T10:00:00.5Z".parse::<Timestamp>().unwrap()
        );
    }
}
