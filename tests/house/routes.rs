//! The routes that the face serves are the routes that its description describes.

use super::{code, root};
use crate::support::routes::{METHODS, Routes, described, of_gotrue};
use std::fs;

#[test]
fn gotrue_yaml_describes_the_router() {
    let router = code(&fs::read_to_string(root().join("src/faces/gotrue.rs")).unwrap());
    let (served, described) = (served(&router), of_gotrue());
    let list = |routes: Vec<&(String, String)>| {
        routes
            .iter()
            .map(|(path, method)| format!("  {method} {path}\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    let undescribed = served.difference(&described);
    let undescribed = list(
        undescribed
            .filter(|route| !is_a_case_of(route, &described))
            .collect(),
    );
    let unserved = list(described.difference(&served).collect());
    assert!(
        undescribed.is_empty() && unserved.is_empty(),
        "\nserved, and not in swagger/gotrue.yaml:\n{undescribed}\nin swagger/gotrue.yaml, and not served:\n{unserved}\n\
         Describe the route there, or take it out.\n"
    );
}

/// Whether the route is described with a parameter in the place of a fixed word: GoTrue takes
/// `DELETE /user/identities/authorize` for an identity of that name.
fn is_a_case_of((path, method): &(String, String), described: &Routes) -> bool {
    let fits = |pattern: &str| {
        let same = |(a, b): (&str, &str)| a == b || b.starts_with('{');
        pattern.split('/').count() == path.split('/').count()
            && path.split('/').zip(pattern.split('/')).all(same)
    };
    described
        .iter()
        .any(|(pattern, described)| described == method && fits(pattern))
}

/// What `router` serves: each `.route("/path", get(..).put(..))`, and what its functions nest. A path with and
/// without its last slash (`.root`) is one route.
fn served(source: &str) -> Routes {
    let mut routes = Routes::new();
    collect(source, "router", "", &mut routes);
    routes
}

fn collect(source: &str, function: &str, prefix: &str, routes: &mut Routes) {
    let begin = format!("fn {function}(");
    let body = source.split(&begin).nth(1).unwrap_or_default();
    let body = body.split("\n}").next().unwrap_or_default();
    for (call, path) in calls_of(body, ".nest(") {
        let nested = call.split(',').nth(1).unwrap_or_default();
        collect(source, called(nested), path, routes);
    }
    for router in body.split(".merge(").skip(1) {
        collect(source, called(router), prefix, routes);
    }
    for (call, path) in calls_of(body, ".route(").chain(calls_of(body, ".root(")) {
        let path = format!("{prefix}{}", path.trim_end_matches('/'));
        let path = if path.is_empty() { "/" } else { &path };
        for method in METHODS.iter().filter(|method| calls(call, method)) {
            routes.insert((path.to_owned(), (*method).to_owned()));
        }
    }
}

/// `user_routes` of `user_routes(&app)`.
fn called(call: &str) -> &str {
    call.split('(').next().unwrap_or_default().trim()
}

/// The arguments of each such call, and the text that stands first in them.
fn calls_of<'a>(body: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    body.split(name)
        .skip(1)
        .map(|call| &call[..end_of_call(call)])
        .filter_map(|call| Some((call, call.split('"').nth(1)?)))
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

#[test]
fn routes_are_read_from_the_sources() {
    let router = r#"
pub fn router() -> Router {
    Router::new().root("/verify", post(verify::post)).nest("/user", user_routes(&app)).merge(rest(&app))
}

fn rest(app: &App) -> Router {
    Router::new().route("/health", get(health))
}

fn user_routes(app: &App) -> Router {
    Router::new().route("/", get(user::get).put(user::put)).route("/{*rest}", any(nowhere))
}
"#;
    let expected = [
        ("/health", "get"),
        ("/user", "get"),
        ("/user", "put"),
        ("/verify", "post"),
    ];
    let expected: Routes = expected
        .iter()
        .map(|(path, method)| ((*path).to_owned(), (*method).to_owned()))
        .collect();
    assert_eq!(served(router), expected);
    let yaml = "paths:\n  /health:\n    get:\n  /user:\n    get:\n      put:\n    put:\n\n  /verify:\n    parameters:\n    post:\ncomponents:\n  /x:\n    get:\n";
    assert_eq!(described(yaml), expected);
}
