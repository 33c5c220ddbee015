//! The routes of the GoTrue face, as their description lists them.

use std::collections::BTreeSet;
use std::path::Path;

/// Path and method, the method in lower case.
pub type Routes = BTreeSet<(String, String)>;

pub const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

/// The routes in `swagger/gotrue.yaml`; the test of the house holds the router to them.
pub fn of_gotrue() -> Routes {
    let yaml = Path::new(env!("CARGO_MANIFEST_DIR")).join("swagger/gotrue.yaml");
    described(&std::fs::read_to_string(yaml).unwrap())
}

/// The keys below `paths:`, and the methods below each.
pub fn described(yaml: &str) -> Routes {
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
