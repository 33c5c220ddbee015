//! Variables that nobody reads: probably misspelt, so the nearest real name is offered.

use std::collections::BTreeSet;

use super::environment::Environment;
use super::report::Report;
use super::settings::Definition;

/// Whether a variable looks as if it were meant for this server.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("GOTRUE_") || name.starts_with("TRUEGATE_")
}

/// Warns of variables that look like ours and are not.
pub(super) fn check(definitions: &[Definition], environment: &Environment, report: &mut Report) {
    let mut known: BTreeSet<String> = super::later::names().collect();
    known.extend(definitions.iter().flat_map(Definition::names));
    for name in environment
        .names()
        .filter(|name| is_ours(name) && !known.contains(*name))
    {
        let what = match nearest(name, &known) {
            Some(near) => format!("there is no such setting; did you mean {near}?"),
            None => "there is no such setting".to_owned(),
        };
        report.warn(name, what);
    }
}

/// The known name that takes the fewest changes, if few enough.
fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let name = name.to_uppercase();
    // GOTRUE_API_EXTERNAL_URL is a common mistake: API_EXTERNAL_URL is the real name.
    let bare = name.split_once('_').map_or("", |(_, bare)| bare);
    if let Some(alias) = known.get(bare) {
        return Some(alias);
    }
    let limit = (bare.len() / 4).max(2);
    known
        .iter()
        .map(|candidate| (distance(&name, candidate), candidate.as_str()))
        .filter(|(changes, _)| *changes <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out, changed or swapped with their neighbour
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, from) in from.chars().enumerate() {
        let mut current = Vec::with_capacity(to.len() + 1);
        let mut left = row + 1;
        current.push(left);
        let windows = last.iter().zip(last.iter().skip(1)).zip(&to);
        for (column, ((diagonal, above), letter)) in windows.enumerate() {
            let mut changes = (left + 1)
                .min(above + 1)
                .min(diagonal + usize::from(from != *letter));
            let swapped =
                column > 0 && previous == Some(*letter) && to.get(column - 1) == Some(&from);
            if let Some(two_back) = before_last.get(column.wrapping_sub(1)).filter(|_| swapped) {
                changes = changes.min(two_back + 1);
            }
            current.push(changes);
            left = changes;
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(from);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances_count_changes() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abd", 1),
            ("abc", "ac", 1),
            ("ac", "abc", 1),
            ("abcd", "acbd", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ];
        for (from, to, changes) in cases {
            assert_eq!(distance(from, to), changes, "{from} {to}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let definitions = crate::config::definitions();
        let known: BTreeSet<String> = definitions
            .iter()
            .flat_map(Definition::names)
            .chain(crate::config::later::names())
            .collect();
        let cases = [
            ("GOTRUE_SMTP_HOTS", Some("GOTRUE_SMTP_HOST")),
            (
                "GOTRUE_MAILER_AUTOCONFIRMED",
                Some("GOTRUE_MAILER_AUTOCONFIRM"),
            ),
            ("GOTRUE_JWT_SECERT", Some("GOTRUE_JWT_SECRET")),
            ("GOTRUE_API_EXTERNAL_URL", Some("API_EXTERNAL_URL")),
            ("GOTRUE_DB_NAMESPACE", Some("DB_NAMESPACE")),
            ("GOTRUE_PORT", Some("PORT")),
            ("GOTRUE_smtp_port", Some("GOTRUE_SMTP_PORT")),
            (
                "GOTRUE_EXTERNAL_GITHUB_CLIENTID",
                Some("GOTRUE_EXTERNAL_GITHUB_CLIENT_ID"),
            ),
            (
                "GOTRUE_RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER",
                Some("GOTRUE_RATE_LIMIT_O_AUTH_DYNAMIC_CLIENT_REGISTER"),
            ),
            ("TRUEGATE_HASH_THREAD", Some("TRUEGATE_HASH_THREADS")),
            ("GOTRUE_MFA_ENABLED", None),
            ("GOTRUE_QUITE_SOMETHING_ELSE", None),
        ];
        for (name, near) in cases {
            assert_eq!(nearest(name, &known), near, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_distance_is_symmetric_and_bounded(a in "[ab_é]{0,12}", b in "[ab_é]{0,12}") {
            let changes = distance(&a, &b);
            prop_assert_eq!(changes, distance(&b, &a));
            prop_assert!(changes <= a.chars().count().max(b.chars().count()));
            prop_assert_eq!(changes == 0, a == b);
        }
    }
}
