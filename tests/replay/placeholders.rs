//! Placeholders: `<uuid:1>` in a recorded answer stands for any value of that form, and for the same
//! value wherever it returns; different numbers stand for different values.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use chrono::{DateTime, NaiveDateTime};
use regex::Regex;
use truegate::clock::Timestamp;

/// How far a recorded moment may be from the server's clock, in seconds.
const MOMENT_TOLERANCE: f64 = 15.0;
/// How far a recorded number of seconds (`expires_in`) may be off.
const APPROX_TOLERANCE: i64 = 5;

/// Each kind of placeholder and the form of its values.
const FORMS: [(&str, &str); 17] = [
    (
        "uuid",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    (
        "time",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{0,8}[1-9])?Z",
    ),
    (
        "pgtime",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:\+00)?",
    ),
    ("unix", "[0-9]{10}"),
    ("hash", "[0-9a-f]{56}"),
    ("rt", "[a-z2-7]{12}"),
    ("rt2", "[A-Za-z0-9_-]{51,62}"),
    ("head", "[A-Za-z0-9_-]{5}"),
    (
        "jwt",
        r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    ),
    ("otp", "[0-9]{6,10}"),
    ("approx", "[0-9]+"),
    ("b32", "[A-Z2-7]{32}"),
    ("aid", "[a-z2-7]{32}"),
    ("b43", "[A-Za-z0-9_-]{43}"),
    ("samlid", "id-[0-9a-f]{40}"),
    (
        "bcrypt",
        r#"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}|\$argon2id\$[^\s"]+"#,
    ),
    ("any", "(?s:.*)"),
];

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    let kinds: Vec<_> = FORMS.iter().map(|(kind, _)| *kind).collect();
    Regex::new(&format!("<({}|x-[a-z0-9]+):([^<>]*)>", kinds.join("|"))).unwrap()
});

/// Compiling is what takes the time here, and the same texts return in many steps.
static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

fn compiled(pattern: String) -> Regex {
    let mut cache = COMPILED.lock().unwrap();
    cache
        .entry(pattern)
        .or_insert_with_key(|pattern| Regex::new(pattern).unwrap())
        .clone()
}

/// True when the text holds at least one placeholder.
pub fn contains_placeholder(text: &str) -> bool {
    text.contains('<') && PLACEHOLDER.is_match(text)
}

/// True when the text is one placeholder whose value is a number in JSON.
pub fn is_number(text: &str) -> bool {
    (text.starts_with("<unix:") || text.starts_with("<approx:"))
        && PLACEHOLDER
            .find(text)
            .is_some_and(|found| found.len() == text.len())
}

/// What the placeholders of one scenario stand for.
#[derive(Default)]
pub struct Names {
    /// The scenario's own forms, by name (`<x-name:1>`).
    patterns: HashMap<String, String>,
    values: HashMap<(String, u32), String>,
    numbers: HashMap<(String, String), u32>,
}

impl Names {
    pub fn new(patterns: &HashMap<String, String>) -> Self {
        let patterns = patterns
            .iter()
            .map(|(name, form)| (format!("x-{name}"), form.clone()))
            .collect();
        Self {
            patterns,
            ..Self::default()
        }
    }

    fn form(&self, kind: &str) -> &str {
        if let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == kind) {
            return form;
        }
        self.patterns
            .get(kind)
            .unwrap_or_else(|| panic!("the scenario has no pattern for <{kind}:..>"))
    }

    /// Compares a text with a recorded one. Returns the JSON Web Tokens found, by their number,
    /// or why it does not fit.
    pub fn fits(
        &mut self,
        want: &str,
        got: &str,
        now: Timestamp,
    ) -> Result<Vec<(u32, String)>, String> {
        let mut pattern = String::from(r"\A");
        let mut placeholders = Vec::new();
        let mut end = 0;
        for found in PLACEHOLDER.captures_iter(want) {
            let whole = found.get(0).unwrap();
            pattern += &regex::escape(&want[end..whole.start()]);
            write!(
                pattern,
                "(?P<v{}>{})",
                placeholders.len(),
                self.form(&found[1])
            )
            .unwrap();
            placeholders.push((found[1].to_owned(), found[2].to_owned()));
            end = whole.end();
        }
        pattern += &regex::escape(&want[end..]);
        pattern += r"\z";

        let pattern = compiled(pattern);
        let values = pattern.captures(got).ok_or_else(String::new)?;
        let mut tokens = Vec::new();
        for (index, (kind, argument)) in placeholders.iter().enumerate() {
            let value = &values[format!("v{index}").as_str()];
            if kind == "jwt" {
                tokens.push((argument.parse().unwrap(), value.to_owned()));
            } else if !self.stands_for(kind, argument, value, now) {
                return Err(format!("{value} does not fit <{kind}:{argument}>"));
            }
        }
        Ok(tokens)
    }

    fn stands_for(&mut self, kind: &str, argument: &str, value: &str, now: Timestamp) -> bool {
        match kind {
            "any" | "bcrypt" => true,
            "unix" => is_moment(argument, value.parse().unwrap(), now),
            "time" | "pgtime" => {
                seconds(value).is_some_and(|moment| is_moment(argument, moment, now))
            }
            "approx" => {
                let (value, argument): (i64, i64) =
                    (value.parse().unwrap(), argument.parse().unwrap());
                (value - argument).abs() <= APPROX_TOLERANCE
            }
            "head" => {
                let (kind, number) = argument.split_once(':').unwrap();
                let token = self.values.get(&(kind.to_owned(), number.parse().unwrap()));
                token.is_none_or(|token| token.starts_with(value))
            }
            // Codes are short: two of them may be equal by chance.
            "otp" => {
                let key = (kind.to_owned(), argument.parse().unwrap());
                self.values.entry(key).or_insert_with(|| value.to_owned()) == value
            }
            _ => self.bind(kind, argument.parse().unwrap(), value),
        }
    }

    /// True when this number stands for the value, or can from now on.
    fn bind(&mut self, kind: &str, number: u32, value: &str) -> bool {
        let by_number = (kind.to_owned(), number);
        if let Some(bound) = self.values.get(&by_number) {
            return bound == value;
        }
        let by_value = (kind.to_owned(), value.to_owned());
        if self.numbers.contains_key(&by_value) {
            return false;
        }
        self.numbers.insert(by_value, number);
        self.values.insert(by_number, value.to_owned());
        true
    }
}

/// Seconds since 1970 of a time as RFC 3339 or as Postgres prints it.
fn seconds(text: &str) -> Option<f64> {
    let text = text.replace(' ', "T");
    let text = text.trim_end_matches('Z').trim_end_matches("+00");
    let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(epoch_seconds(moment.and_utc()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit into 53 bits"
)]
fn epoch_seconds(moment: DateTime<chrono::Utc>) -> f64 {
    moment.timestamp_micros() as f64 / 1e6
}

/// `now`, `now+60`, `now-60` or `any`.
fn is_moment(argument: &str, seconds: f64, now: Timestamp) -> bool {
    if argument == "any" {
        return true;
    }
    let offset = argument.strip_prefix("now").unwrap();
    let offset: f64 = if offset.is_empty() {
        0.0
    } else {
        offset.parse().unwrap()
    };
    (seconds - epoch_seconds(now) - offset).abs() <= MOMENT_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(names: &mut Names, want: &str, got: &str) -> bool {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        names.fits(want, got, now).is_ok()
    }

    #[test]
    fn a_number_stands_for_one_value_and_a_value_for_one_number() {
        let mut names = Names::default();
        assert!(fits(&mut names, "<rt:1>", "abcdefghijkl"));
        assert!(fits(&mut names, "token=<rt:1>", "token=abcdefghijkl"));
        assert!(!fits(&mut names, "<rt:1>", "aaaaaaaaaaaa"));
        assert!(!fits(&mut names, "<rt:2>", "abcdefghijkl"));
        assert!(fits(&mut names, "<head:rt:1>", "abcde"));
        assert!(!fits(&mut names, "<head:rt:1>", "aaaaa"));
    }

    #[test]
    fn a_moment_is_near_the_clock() {
        let mut names = Names::default();
        assert!(fits(&mut names, "<unix:now+60>", "1800000075"));
        assert!(!fits(&mut names, "<unix:now+60>", "1800000076"));
        assert!(fits(&mut names, "<time:now>", "2027-01-15T08:00:00.5Z"));
        assert!(
            !fits(&mut names, "<time:now>", "2027-01-15T08:00:00.50Z"),
            "no trailing zero"
        );
        assert!(!fits(&mut names, "<time:now>", "2027-01-15T08:00:16Z"));
        assert!(fits(
            &mut names,
            "<pgtime:now-60>",
            "2027-01-15 07:59:00.000001+00"
        ));
        assert!(fits(&mut names, "<time:any>", "1970-01-01T00:00:00Z"));
    }

    #[test]
    fn fixed_text_counts() {
        let mut names = Names::default();
        assert!(fits(&mut names, "a.b<any:x>c", "a.b\n\nc"));
        assert!(!fits(&mut names, "a.b<any:x>c", "axb\n\nc"));
        assert!(!fits(&mut names, "<otp:1>", "x123456"));
        assert!(fits(&mut names, "<otp:1> <otp:2>", "123456 123456"));
    }
}
