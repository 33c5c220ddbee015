//! The routes that the face serves are the routes that its description describes.

use super::{code, root};
use std::collections::BTreeSet;
use std::fs;

type Routes = BTreeSet<(String, String)>;

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

#[test]
fn gotrue_yaml_describes_the_router() {
    let router = code(&fs::read_to_string(root().join("src/faces/gotrue.rs")).unwrap());
    let yaml = fs::read_to_string(root().join("swagger/gotrue.yaml")).unwrap();
    let (served, described) = (served(&router), described(&yaml));
    let list = |routes: Vec<&(String, String)>| {
        routes
            .iter()
            .map(|(path, method)| format!("  {method} {path}\n"))
            .collect::<String>()
    };
    let undescribed = list(served.difference(&described).collect());
    let unserved = list(described.difference(&served).collect());
    assert!(
        undescribed.is_empty() && unserved.is_empty(),
        "\nserved, and not in swagger/gotrue.yaml:\n{undescribed}\nin swagger/gotrue.yaml, and not served:\n{unserved}\n\
         Describe the route there, or take it out.\n"
    );
}

/// Each `.route("/path", get(..).put(..))`; a path with and without its last slash is one route.
fn served(router: &str) -> Routes {
    let mut routes = Routes::new();
    for call in router.split(".route(").skip(1) {
        let call = &call[..end_of_call(call)];
        let Some(path) = call.split('"').nth(1) else {
            continue;
        };
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        for method in METHODS.iter().filter(|method| calls(call, method)) {
            routes.insert((path.to_owned(), (*method).to_owned()));
        }
    }
    routes
}

/// Where the parenthesis closes that stands open before the text.
fn end_of_call(text: &str) -> usize {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Whether `get(` stands there, and not as the end of another name (`user::get(` is no method either).
fn calls(text: &str, method: &str) -> bool {
    text.match_indices(&format!("{method}("))
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

/// The keys below `paths:`, and the methods below each.
fn described(yaml: &str) -> Routes {
    let mut routes = Routes::new();
    let mut path = "";
    for line in yaml.lines().skip_while(|line| *line != "paths:").skip(1) {
        if line.starts_with(|c: char| c.is_alphabetic()) {
            break;
        }
        if let Some(key) = line
            .strip_prefix("  /")
            .and_then(|_| line.trim().strip_suffix(':'))
        {
            path = key;
        } else if let Some(method) = line
            .strip_prefix("    ")
            .and_then(|key| key.strip_suffix(':'))
            && METHODS.contains(&method)
        {
            routes.insert((path.to_owned(), method.to_owned()));
        }
    }
    routes
}

#[test]
fn routes_are_read_from_the_sources() {
    let router = r#"Router::new().route("/user", get(user::get).put(user::put)).route("/verify/", post(verify::post))"#;
    let expected = [("/user", "get"), ("/user", "put"), ("/verify", "post")];
    let expected: Routes = expected
        .iter()
        .map(|(path, method)| ((*path).to_owned(), (*method).to_owned()))
        .collect();
    assert_eq!(served(router), expected);
    let yaml = "paths:\n  /user:\n    get:\n      put:\n    put:\n\n  /verify:\n    parameters:\n    post:\ncomponents:\n  /x:\n    get:\n";
    assert_eq!(described(yaml), expected);
}
