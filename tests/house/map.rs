//! README's map is true: what it names exists, and what exists is named.

use super::{assert_none, files, root};
use std::collections::BTreeSet;
use std::fs;

/// The block below the heading, as lines.
fn map() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme
        .split("## The map")
        .nth(1)
        .expect("README.md has the heading `## The map`");
    let block = block
        .split("```")
        .nth(1)
        .expect("the map stands between lines of ```");
    block.lines().map(str::to_owned).collect()
}

/// Folders of `src` whose files the map names one by one.
const NAMED_ONE_BY_ONE: &[&str] = &[
    "",
    "faces",
    "faces/gotrue",
    "web",
    "auth",
    "models",
    "outside",
    "crypto",
    "db",
    "workers",
];

#[test]
fn every_module_is_on_the_map() {
    let words: BTreeSet<String> = map()
        .iter()
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || "_./".contains(c))))
        .map(|word| {
            word.trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".rs")
                .to_owned()
        })
        .collect();
    let src = root().join("src");
    let mut findings = Vec::new();
    for path in files(&src, ".rs") {
        let below = path.strip_prefix(&src).unwrap();
        let folder = below.parent().unwrap().to_str().unwrap();
        let name = below.file_stem().unwrap().to_str().unwrap();
        if NAMED_ONE_BY_ONE.contains(&folder) && name != "tests" && !words.contains(name) {
            findings.push(format!("src/{} is not on the map", below.display()));
        }
    }
    assert_none(
        &findings,
        "README.md's map shows where everything is: add the module, with what it is for.",
    );
}

#[test]
fn everything_on_the_map_exists() {
    let every: BTreeSet<String> = ["src", "tests", "swagger", "migrations", "benches"]
        .iter()
        .filter(|folder| root().join(folder).is_dir())
        .flat_map(|folder| files(&root().join(folder), ""))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut findings = Vec::new();
    for line in map() {
        for word in line
            .split_whitespace()
            .map(|word| word.trim_matches([',', ';', '(', ')']))
        {
            let name = word.rsplit('/').next().unwrap();
            let is_file = [".rs", ".yaml", ".sql", ".mjs"]
                .iter()
                .any(|ending| name.ends_with(ending));
            if is_file && !every.contains(name) {
                findings.push(format!("{word} is on the map and nowhere else"));
            }
        }
    }
    assert_none(
        &findings,
        "README.md's map moves with the walls: correct it.",
    );
}
