//! Every recorded conversation with GoTrue, replayed; one test for each area of the recordings.
//!
//! `golden/pending.txt` names the scenarios that wait for a later feature: one that passes must leave the list.
//! `golden/deviations.json` names the steps that knowingly differ, each with its reason:
//! one that does not differ any more must leave it as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use futures_util::StreamExt as _;

use crate::replay::scenario::{self, Scenario};
use crate::replay::standin::Standin;
use crate::replay::{Failure, lies, process, replay};
use crate::support::database::Database;
use crate::support::variable;

/// How many scenarios of one area run at once.
const AT_ONCE: usize = 2;
/// How many scenarios the soundness test lies about.
const LIES: usize = 40;

/// The scenarios whose feature is not there yet.
static PENDING: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let lines = std::fs::read_to_string(scenario::folder().join("pending.txt")).unwrap();
    lines
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
});

/// Scenario, step, reason.
static DEVIATIONS: LazyLock<BTreeMap<String, BTreeMap<usize, String>>> = LazyLock::new(|| {
    serde_json::from_str(
        &std::fs::read_to_string(scenario::folder().join("deviations.json")).unwrap(),
    )
    .unwrap()
});

fn deviations(name: &str) -> BTreeSet<usize> {
    DEVIATIONS
        .get(name)
        .map(|steps| steps.keys().copied().collect())
        .unwrap_or_default()
}

/// The databases of one test: each scenario leaves one empty for the next.
#[derive(Default)]
struct Stage {
    idle: Mutex<Vec<Database>>,
}

impl Stage {
    /// Replays one scenario, after `change`.
    async fn play(
        &self,
        area: &str,
        name: &str,
        patient: bool,
        change: impl FnOnce(&mut Scenario),
    ) -> Vec<Failure> {
        let idle = self.idle.lock().unwrap().pop();
        let database = match idle {
            Some(database) => database,
            // A command migrates by itself.
            None if process::command().is_some() => Database::empty().await,
            None => Database::new().await,
        };
        let standin = Standin::start().await;
        let mut scenario = Scenario::read(area, name, &standin);
        change(&mut scenario);
        let failures = replay(&scenario, &standin, &database, patient).await;
        database.clear().await;
        self.idle.lock().unwrap().push(database);
        failures
    }

    /// What is wrong with one scenario, in words; nothing when it is as it should be.
    async fn verdict(&self, area: &str, name: &str) -> Option<String> {
        if PENDING.contains(name) {
            let failures = self.play(area, name, false, |_| {}).await;
            return failures
                .is_empty()
                .then(|| format!("{name} passes: remove it from tests/golden/pending.txt"));
        }
        let mut known = deviations(name);
        let failures = self.play(area, name, true, |_| {}).await;
        let failures: Vec<&Failure> = failures
            .iter()
            .filter(|failure| !known.remove(&failure.step))
            .collect();
        if !failures.is_empty() {
            return Some(in_words(name, &failures));
        }
        let stale = |step| {
            format!("{name} step {step} agrees: remove it from tests/golden/deviations.json")
        };
        known.pop_first().map(stale)
    }
}

/// The first failure in full, the others by their numbers.
fn in_words(name: &str, failures: &[&Failure]) -> String {
    let first = failures[0];
    let mut words = format!("{name} step {}: {}", first.step, first.label);
    for difference in first.differences.iter().take(5) {
        write!(words, "\n      {difference}").unwrap();
    }
    let others: Vec<String> = failures
        .iter()
        .skip(1)
        .map(|failure| failure.step.to_string())
        .collect();
    if !others.is_empty() {
        write!(words, "\n      and steps {}", others.join(", ")).unwrap();
    }
    words
}

async fn area(area: &str) {
    let only = variable("GOLDEN_ONLY");
    let stage = Stage::default();
    let chosen =
        scenario::names(area).filter(|name| only.as_ref().is_none_or(|only| name.contains(only)));
    let verdicts = futures_util::stream::iter(chosen)
        .map(|name| stage.verdict(area, name))
        .buffered(AT_ONCE);
    let wrong: Vec<Option<String>> = verdicts.collect().await;
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "{} scenarios of {area}:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
}

macro_rules! areas {
    ($($test:ident: $area:literal,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                area($area).await;
            }
        )*

        #[test]
        fn every_area_has_a_test() {
            let mut tested = vec![$($area),*];
            tested.sort_unstable();
            assert_eq!(scenario::areas().collect::<Vec<_>>(), tested);
        }
    };
}

areas! {
    admin: "admin",
    anonymous: "anonymous",
    bearer: "bearer",
    custom_providers: "custom-providers",
    external: "external",
    hooks: "hooks",
    id_token: "id-token",
    identities: "identities",
    keys: "keys",
    mailflows: "mailflows",
    matrix: "matrix",
    mfa: "mfa",
    oauth_server: "oauth-server",
    passkeys: "passkeys",
    perimeter: "perimeter",
    phone: "phone",
    saml: "saml",
    scim: "scim",
    security: "security",
    settings: "settings",
    signup: "signup",
    templates: "templates",
    tokens: "tokens",
    user: "user",
    verify: "verify",
    web3: "web3",
}

#[test]
fn the_lists_name_what_is_there() {
    let names: BTreeSet<&str> = scenario::areas().flat_map(scenario::names).collect();
    for name in PENDING.iter().chain(DEVIATIONS.keys()) {
        assert!(names.contains(name.as_str()), "there is no scenario {name}");
    }
    for name in DEVIATIONS.keys() {
        assert!(
            !PENDING.contains(name),
            "{name} is pending: it needs no deviations"
        );
    }
}

#[tokio::test]
async fn a_lie_is_noticed() {
    let all =
        scenario::areas().flat_map(|area| scenario::names(area).map(move |name| (area, name)));
    let passing: Vec<_> = all.filter(|(_, name)| !PENDING.contains(*name)).collect();
    let stride = (passing.len() / LIES).max(1);
    let stage = Stage::default();
    for (seed, (area, name)) in (1..).zip(passing.into_iter().step_by(stride)) {
        let known = deviations(name);
        let mut lie = String::new();
        let failures = stage
            .play(area, name, true, |scenario| {
                lie = lies::tell(scenario, seed, &known);
            })
            .await;
        assert!(
            failures
                .iter()
                .any(|failure| !known.contains(&failure.step)),
            "{name}: not noticed: {lie}"
        );
    }
}
