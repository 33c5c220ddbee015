//! The value syntax of Go, in which GoTrue's variables are written: `strconv.ParseBool`, `ParseInt` with
//! base 0, `ParseFloat` and `time.ParseDuration`.

use std::time::Duration;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, PAD};
use chrono::TimeDelta;

/// `base64.StdEncoding`: what the last letter has to spare need not be zero.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);
/// `base64.RawURLEncoding`, likewise.
pub const BASE64_RAW_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// `1 t T TRUE true True` and `0 f F FALSE false False`.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number; `0x`, `0o` and `0b` tell the base, so does a leading zero (octal), and underscores
/// may separate digits.
pub fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits, prefixed) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest, true)
    } else if let Some(rest) = lower.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        (8, rest, true)
    } else {
        (10, lower.as_str(), false)
    };
    // An underscore stands between two digits; a base prefix counts as a digit.
    let misplaced =
        digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed);
    let digits = digits.replace('_', "");
    if misplaced || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    i128::from_str_radix(&digits, base)
        .ok()
        .map(|number| sign * number)
}

/// A decimal number. Rates and sizes are never negative, and `inf` and `nan` are no use to anyone.
pub fn float(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// Numbers with units, such as `300ms`, `1.5h` or `1h30m`; `0` needs no unit. Go's negative durations
/// are refused: no setting has a use for them.
pub fn duration(text: &str) -> Option<Duration> {
    let nanoseconds = nanoseconds(text.strip_prefix('+').unwrap_or(text)).ok()?;
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// The same with a sign, for what administrators say; the error is in the words of `time.ParseDuration`.
pub fn signed_duration(text: &str) -> Result<TimeDelta, String> {
    let (negative, length) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanoseconds = nanoseconds(length).map_err(|fault| match fault {
        NoDuration::Invalid => format!("time: invalid duration {text:?}"),
        NoDuration::MissingUnit => format!("time: missing unit in duration {text:?}"),
        NoDuration::UnknownUnit(unit) => {
            format!("time: unknown unit {unit:?} in duration {text:?}")
        }
    })?;
    let length = TimeDelta::nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
    Ok(if negative { -length } else { length })
}

/// Why a text is no duration.
enum NoDuration<'a> {
    Invalid,
    MissingUnit,
    UnknownUnit(&'a str),
}

fn nanoseconds(text: &str) -> Result<u128, NoDuration<'_>> {
    /// Go counts nanoseconds in 63 bits: some 292 years.
    const LONGEST: u128 = i64::MAX as u128;

    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(NoDuration::Invalid);
    }
    let number = |digits: &str| -> Result<u128, NoDuration<'_>> {
        if digits.is_empty() {
            Ok(0)
        } else {
            digits.parse().map_err(|_| NoDuration::Invalid)
        }
    };
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_while(rest, |c| c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_while(after, |c| c.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(NoDuration::Invalid);
        }
        let (unit, after) = split_while(after, |c| c != '.' && !c.is_ascii_digit());
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(NoDuration::MissingUnit),
            unknown => return Err(NoDuration::UnknownUnit(unknown)),
        };
        // Eighteen digits are finer than any unit needs.
        let fraction = fraction.get(..18).unwrap_or(fraction);
        let part = number(fraction)? * scale
            / 10_u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
        total = number(whole)?
            .checked_mul(scale)
            .and_then(|whole| whole.checked_add(part))
            .and_then(|length| length.checked_add(total))
            .filter(|total| *total <= LONGEST)
            .ok_or(NoDuration::Invalid)?;
        rest = after;
    }
    Ok(total)
}

/// The longest start of which every character fits, and what follows it.
fn split_while(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn booleans_are_spelt_as_in_go() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(boolean(text), Some(true));
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(boolean(text), Some(false));
        }
        for text in ["", " true", "yes", "on", "tRUE", "2"] {
            assert_eq!(boolean(text), None, "{text:?}");
        }
    }

    #[test]
    fn integers_tell_their_base() {
        let cases = [
            ("0", 0),
            ("587", 587),
            ("-5", -5),
            ("+5", 5),
            ("010", 8),
            ("0_7", 7),
            ("0x1F", 31),
            ("0X_1f", 31),
            ("0o17", 15),
            ("0b101", 5),
            ("1_000", 1000),
        ];
        for (text, number) in cases {
            assert_eq!(integer(text), Some(number), "{text}");
        }
        for text in [
            "", "-", "08", "0x", "0b2", "_1", "1_", "1__0", "1.0", " 1", "--1", "+-1", "١", "ten",
        ] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_are_plain_numbers() {
        assert_eq!(float("0.1"), Some(0.1));
        assert_eq!(float("1e3"), Some(1000.0));
        assert_eq!(float(".5"), Some(0.5));
        for text in ["", "-1", "nan", "inf", "1e999", "1_0", "1,5"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn durations_carry_units() {
        let cases = [
            ("0", 0),
            ("+0", 0),
            ("1ns", 1),
            ("1us", 1_000),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("300ms", 300_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0.000000001s", 1),
            ("2562047h47m16.854775807s", i64::MAX as u64),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(
                duration(text),
                Some(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "+",
            "-",
            "10",
            "-1s",
            "s",
            ".s",
            "1",
            "1 s",
            "1h 30m",
            "1d",
            "1S",
            "1sm",
            " 1s",
            "2562047h47m16.854775808s",
            "99999999999999999999999999999999999999999999s",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = (boolean(&text), integer(&text), float(&text), duration(&text));
        }

        #[test]
        fn no_duration_panics(text in "[-+]?([0-9]{0,40}\\.?[0-9]{0,40}(ns|us|µs|ms|s|m|h|x)?){0,4}") {
            let _ = duration(&text);
        }

        #[test]
        fn durations_add_up(hours in 0_u64..1000, minutes in 0_u64..1000, milliseconds in 0_u64..100_000) {
            let text = format!("{hours}h{minutes}m{milliseconds}ms");
            let sum = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_millis(milliseconds);
            prop_assert_eq!(duration(&text), Some(sum));
        }

        #[test]
        fn integers_come_back(number in any::<i64>()) {
            prop_assert_eq!(integer(&number.to_string()), Some(i128::from(number)));
        }
    }
}
