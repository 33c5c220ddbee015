//! One lie in a recording: a replayer that does not notice it is worth nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::scenario::Scenario;

/// Changes one thing that the scenario expects, chosen by `seed`, outside the steps whose answer may differ.
/// Says what it changed.
pub fn tell(scenario: &mut Scenario, seed: u64, excused: &BTreeSet<usize>) -> String {
    let mut chance = Chance(seed);
    let own_words = !scenario.sets_templates();
    let steps: Vec<usize> = (0..scenario.steps.len())
        .filter(|index| !excused.contains(&(index + 1)))
        .filter(|index| {
            let expect = scenario.steps[*index].expect();
            // A refusal in the place of GoTrue's failure passes, whatever it says.
            !expect.is_empty() && expect.get("status").and_then(Value::as_u64) < Some(500)
        })
        .collect();
    let kind = chance.below(10);
    if kind == 0 || steps.is_empty() {
        scenario.mails_left += 1;
        return "one more unread mail".into();
    }
    let index = steps[chance.below(steps.len())];
    let mut expect = scenario.steps[index].expect();
    let Some(what) = change(&mut expect, kind, own_words, &mut chance) else {
        scenario.mails_left += 1;
        return "one more unread mail".into();
    };
    scenario.steps[index].set_expect(&expect);
    format!("step {}: {what}", index + 1)
}

/// Changes a document in one place; nothing when there is no such place.
fn change(
    expect: &mut Map<String, Value>,
    kind: usize,
    own_words: bool,
    chance: &mut Chance,
) -> Option<String> {
    let has_status = expect.contains_key("status");
    if let Some(Value::Object(body)) = expect.get_mut("body") {
        if kind == 1 {
            body.insert("made_up".into(), 1.into());
            return Some("one more member".into());
        }
        if kind == 2 && !body.is_empty() {
            let name = body.keys().nth(chance.below(body.len())).unwrap().clone();
            body.remove(&name);
            return Some(format!("no member {name}"));
        }
    }
    if let Some(Value::Object(headers)) = expect.get_mut("headers")
        && kind == 3
        && has_status
    {
        headers.insert("retry-after".into(), "1".into());
        return Some("one more header".into());
    }
    let mut leaves = Vec::new();
    for (name, value) in expect.iter() {
        // Of a mail in the server's own words only the links count.
        let counts = !(own_words
            && expect.contains_key("subject")
            && ["html", "type"].contains(&name.as_str()));
        if counts {
            collect_leaves(value, &format!("/{}", escape(name)), &mut leaves);
        }
    }
    if leaves.is_empty() {
        return None;
    }
    let pointer = leaves.swap_remove(chance.below(leaves.len()));
    let mut whole = Value::Object(std::mem::take(expect));
    let leaf = whole.pointer_mut(&pointer).unwrap();
    let before = leaf.clone();
    *leaf = lie(leaf);
    let what = format!("{pointer} is {leaf}, not {before}");
    if let Value::Object(changed) = whole {
        *expect = changed;
    }
    Some(what)
}

/// The places of all values that a comparison can find wrong.
fn collect_leaves(value: &Value, at: &str, leaves: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                collect_leaves(member, &format!("{at}/{}", escape(name)), leaves);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_leaves(item, &format!("{at}/{index}"), leaves);
            }
        }
        Value::String(text) if text.contains("<any:") || text.contains(":any>") => {}
        _ => leaves.push(at.to_owned()),
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn lie(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => (!truth).into(),
        Value::Null => "x".into(),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| "x".into(), |number| (number + 1).into()),
        Value::String(text) if text == "<time:now>" => "<time:now-86400>".into(),
        Value::String(text) if text.starts_with("<time:now") => "<time:now>".into(),
        Value::String(text) if text.starts_with("<unix:now") => "<unix:now+777600>".into(),
        Value::String(text) if text.starts_with("<approx:") => "<approx:77777>".into(),
        Value::String(text) => format!("{text}x").into(),
        other => panic!("{other} is no leaf"),
    }
}

/// The same numbers for the same seed (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}
