//! The recorded conversations, as they stand in `tests/golden`.
//!
//! A scenario is a file of steps, and for each step what GoTrue answered. The stand-in for other servers listens
//! on ports of its own in each replay, so the recorded ones are replaced in the text before it is read.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::standin::Standin;

/// Where the recordings lie.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// One recorded conversation.
#[derive(Deserialize)]
pub struct Scenario {
    pub name: String,
    pub area: String,
    profile: String,
    #[serde(default)]
    env: HashMap<String, Option<String>>,
    #[serde(default)]
    pub patterns: HashMap<String, String>,
    pub steps: Vec<Step>,
    /// How many mails nobody has read at the end.
    pub mails_left: usize,
}

/// One step: its members by name (`http`, `mail`, .., `expect`, `save`), still as text, because
/// `{{names}}` are put in when it runs and the order of members counts in what is sent.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Step(BTreeMap<String, Box<RawValue>>);

/// Members of a step that are not what it does.
const ASIDES: [&str; 6] = ["exact", "expect", "note", "save", "unordered", "volatile"];

impl Step {
    /// What this step does: the one member that is no aside, and its text.
    pub fn action(&self) -> (&str, &str) {
        let (name, action) = self
            .0
            .iter()
            .find(|(name, _)| !ASIDES.contains(&name.as_str()))
            .unwrap();
        (name, action.get())
    }

    fn aside<T: Default + serde::de::DeserializeOwned>(&self, name: &str) -> T {
        self.0
            .get(name)
            .map_or_else(T::default, |text| serde_json::from_str(text.get()).unwrap())
    }

    pub fn expect(&self) -> Map<String, Value> {
        self.aside("expect")
    }

    /// What later steps use, by name: where it is found in this one.
    pub fn save(&self) -> BTreeMap<String, String> {
        self.aside("save")
    }

    pub fn unordered(&self) -> Vec<String> {
        self.aside("unordered")
    }

    /// True when the body is compared as text.
    pub fn exact(&self) -> bool {
        self.aside("exact")
    }

    /// Replaces what is expected: for the lies of the soundness test.
    pub fn set_expect(&mut self, expect: &Map<String, Value>) {
        self.0.insert(
            "expect".into(),
            serde_json::value::to_raw_value(expect).unwrap(),
        );
    }

    /// The step in a few words.
    pub fn label(&self) -> String {
        let (name, text) = self.action();
        let value: Value = serde_json::from_str(text).unwrap();
        let words = match name {
            "http" => format!(
                "{} {}",
                value["method"].as_str().unwrap(),
                value["path"].as_str().unwrap()
            ),
            _ => format!("{name} {value}"),
        };
        words.chars().take(100).collect()
    }
}

/// The text of each scenario by area and name.
static TEXTS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    let mut areas = BTreeMap::new();
    for area in std::fs::read_dir(folder())
        .unwrap()
        .map(Result::unwrap)
        .filter(|area| area.path().is_dir())
    {
        let mut texts = BTreeMap::new();
        for file in std::fs::read_dir(area.path())
            .unwrap()
            .map(|file| file.unwrap().path())
        {
            let text = std::fs::read_to_string(&file).unwrap();
            if text.contains("\"steps\":") {
                texts.insert(file.file_stem().unwrap().to_str().unwrap().to_owned(), text);
            }
        }
        if !texts.is_empty() {
            areas.insert(area.file_name().into_string().unwrap(), texts);
        }
    }
    areas
});

static PROFILES: LazyLock<HashMap<String, Profile>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(folder().join("profiles.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

#[derive(Deserialize)]
struct Profile {
    env: HashMap<String, String>,
}

/// The areas that have scenarios.
pub fn areas() -> impl Iterator<Item = &'static str> {
    TEXTS.keys().map(String::as_str)
}

/// The names of an area's scenarios.
pub fn names(area: &str) -> impl Iterator<Item = &'static str> {
    TEXTS
        .get(area)
        .into_iter()
        .flat_map(|texts| texts.keys().map(String::as_str))
}

impl Scenario {
    /// Reads a scenario for a replay with this stand-in.
    pub fn read(area: &str, name: &str, standin: &Standin) -> Self {
        let scenario: Self = serde_json::from_str(&standin.own_ports(&TEXTS[area][name])).unwrap();
        assert_eq!(
            (scenario.area.as_str(), scenario.name.as_str()),
            (area, name),
            "a file is named after its scenario"
        );
        scenario
    }

    /// True when this scenario brings templates for its mails.
    pub fn sets_templates(&self) -> bool {
        self.env
            .keys()
            .any(|name| name.starts_with("GOTRUE_MAILER_TEMPLATES_"))
    }

    /// The environment of the server: the base, the profile, and what this scenario changes.
    pub fn environment(&self, standin: &Standin) -> HashMap<String, String> {
        let mut environment = PROFILES["base"].env.clone();
        environment.extend(PROFILES[&self.profile].env.clone());
        for (name, value) in &self.env {
            match value {
                Some(value) => environment.insert(name.clone(), value.clone()),
                None => environment.remove(name),
            };
        }
        for value in environment.values_mut() {
            for (name, own) in standin.variables() {
                *value = value.replace(&format!("{{{{{name}}}}}"), &own);
            }
        }
        environment
    }
}

static WHOLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""\{\{json:([\w.-]+)\}\}""#).unwrap());
static INSIDE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{([\w.-]+)\}\}").unwrap());

/// Puts saved values into the text of a step, which is JSON and stays JSON: `"{{json:name}}"` becomes the value,
/// `{{name}}` inside a string becomes its text. The error is the name that nobody saved.
pub fn fill(text: &str, saved: &HashMap<String, String>) -> Result<String, String> {
    let mut gone = None;
    let mut look_up = |found: &Captures<'_>, render: fn(&str) -> String| {
        if let Some(value) = saved.get(&found[1]) {
            return render(value);
        }
        gone.get_or_insert_with(|| found[1].to_owned());
        String::new()
    };
    let text = WHOLE.replace_all(text, |found: &Captures<'_>| look_up(found, str::to_owned));
    let text = INSIDE.replace_all(&text, |found: &Captures<'_>| {
        look_up(found, |value| {
            let quoted = serde_json::to_string(value).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        })
    });
    match gone {
        Some(name) => Err(name),
        None => Ok(text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_as_text_or_whole() {
        let saved = HashMap::from([
            ("a".to_owned(), "x\"".to_owned()),
            ("b".to_owned(), "[1]".to_owned()),
        ]);
        assert_eq!(
            fill(r#"{"{{a}}": ["{{json:b}}", "-{{b}}-"]}"#, &saved).unwrap(),
            r#"{"x\"": [[1], "-[1]-"]}"#
        );
        assert_eq!(fill(r#""{{ .Token }} {{c}}""#, &saved), Err("c".into()));
    }
}
