//! Floats as Go writes them.

/// `%v`: the shortest digits that give the same number back, with an exponent below 1e-4 and from 1e6 on.
pub(super) fn shortest(value: f64) -> String {
    let text = format!("{value:e}");
    match exponent(&text) {
        Some(exponent) if !(-4..6).contains(&exponent) => two_digit_exponent(&text),
        Some(_) => format!("{value}"),
        None => special(value),
    }
}

/// As `encoding/json`: JavaScript's `Number.toString`.
pub(super) fn json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        }
    } else {
        format!("{value}")
    }
}

/// `%e` with a precision, or the shortest.
pub(super) fn scientific(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return special(value);
    }
    two_digit_exponent(&match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    })
}

/// `%f`.
pub(super) fn fixed(value: f64, precision: Option<usize>) -> String {
    match precision {
        _ if !value.is_finite() => special(value),
        Some(precision) => format!("{value:.precision$}"),
        None => format!("{value}"),
    }
}

/// `%g` with a precision, or the shortest.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else {
        return shortest(value);
    };
    let digits = precision.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let Some(exponent) = exponent(&text) else {
        return special(value);
    };
    if exponent < -4 || exponent >= i64::try_from(digits).unwrap_or(i64::MAX) {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return two_digit_exponent(&format!("{}e{exponent}", without_trailing_zeros(mantissa)));
    }
    let decimals = usize::try_from(i64::try_from(digits - 1).unwrap_or(0) - exponent).unwrap_or(0);
    without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn special(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value > 0.0 {
        "+Inf".into()
    } else {
        "-Inf".into()
    }
}

fn exponent(text: &str) -> Option<i64> {
    text.split_once('e')?.1.parse().ok()
}

/// `1e7` as `1e+07`.
fn two_digit_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}
