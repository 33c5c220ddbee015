//! The rules of the house as tests: they read the sources, and say what to do instead.
//!
//! The rules stand in README.md, under its map; an exception is named here, with its reason, or it is none.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

mod map;
mod routes;

/// One file below `src`, without its comments and unit tests.
struct Source {
    /// Below `src`: `auth/refresh.rs`.
    path: String,
    code: String,
}

impl Source {
    /// `auth` for `auth.rs` and for all below `auth/`.
    fn layer(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    fn is_below(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| match path.strip_suffix("/*") {
            Some(folder) => {
                self.path.starts_with(&format!("{folder}/")) || self.path == format!("{folder}.rs")
            }
            None => self.path == *path,
        })
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        Source {
            code: code(&text),
            path,
        }
    };
    let is_product =
        |source: &Source| !source.path.ends_with("tests.rs") && !source.path.contains("/tests/");
    files(&src, ".rs")
        .into_iter()
        .map(source)
        .filter(is_product)
        .collect()
}

/// The text up to the unit tests, without comments.
fn code(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let mut code = String::new();
    for line in product.lines() {
        let comment = line
            .starts_with("//")
            .then_some(0)
            .or_else(|| line.find(" //"));
        writeln!(code, "{}", &line[..comment.unwrap_or(line.len())]).unwrap();
    }
    code
}

/// Fails with every finding at once.
fn assert_none(findings: &[String], instead: &str) {
    assert!(
        findings.is_empty(),
        "\n{}\n\n{instead}\n",
        findings.join("\n")
    );
}

/// Where the code of these layers has one of these words, beside the named exceptions.
fn found(words: &[&str], layers: &[&str], exceptions: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources() {
        if !layers.contains(&source.layer()) || source.is_below(exceptions) {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(*word)) {
                findings.push(format!(
                    "src/{}:{}: `{word}` in: {}",
                    source.path,
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    findings
}

/// Which layers each layer may name: right or down. `error`, `clock`, `config`, `json` and `urls` are for everyone.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &[]),
    (
        "cli",
        &[
            "dev", "server", "workers", "faces", "web", "auth", "models", "outside", "crypto",
            "db", "app",
        ],
    ),
    (
        "dev",
        &[
            "server", "workers", "faces", "web", "auth", "models", "outside", "crypto", "db", "app",
        ],
    ),
    ("server", &["faces", "web", "app"]),
    ("workers", &["auth", "models", "outside", "db", "app"]),
    (
        "faces",
        &["web", "auth", "models", "outside", "crypto", "app"],
    ),
    ("web", &["app"]),
    ("auth", &["models", "outside", "crypto", "db", "app"]),
    ("models", &["crypto", "db"]),
    ("outside", &["crypto"]),
    ("crypto", &[]),
    ("db", &[]),
    // It wires what there is.
    (
        "app",
        &["workers", "web", "auth", "outside", "crypto", "db"],
    ),
    ("clock", &[]),
    ("config", &[]),
    ("error", &[]),
    ("json", &[]),
    ("urls", &[]),
];

const FOR_EVERYONE: &[&str] = &["error", "clock", "config", "json", "urls"];

/// Files that may name one layer more, and why.
const MAY_NAME_AS_WELL: &[(&str, &str, &str)] = &[(
    "models/outbox.rs",
    "outside",
    "a row of the outbox is made of a rendered template",
)];

#[test]
fn imports_point_right_or_down() {
    let sources = sources();
    let is_macro = |name: &str| {
        let definition = format!("macro_rules! {name} ");
        sources
            .iter()
            .any(|source| source.code.contains(&definition))
    };
    let mut findings = Vec::new();
    for source in &sources {
        let Some((_, allowed)) = MAY_NAME.iter().find(|(layer, _)| *layer == source.layer()) else {
            findings.push(format!(
                "src/{}: the layer `{}` is not known here",
                source.path,
                source.layer()
            ));
            continue;
        };
        for named in named_layers(&source.code) {
            let excepted = MAY_NAME_AS_WELL
                .iter()
                .any(|(path, layer, _)| *path == source.path && *layer == named);
            let fine = named == source.layer()
                || allowed.contains(&named.as_str())
                || FOR_EVERYONE.contains(&named.as_str());
            if !fine && !excepted && !is_macro(&named) {
                findings.push(format!(
                    "src/{}: `{}` names `crate::{named}`",
                    source.path,
                    source.layer()
                ));
            }
        }
    }
    assert_none(
        &findings,
        "Imports point right or down: cli -> server -> faces -> auth -> models -> db. What the lower layer needs is an \
         argument that the upper one gives, or belongs into the lower layer itself.",
    );
}

/// The layers behind `crate::x` and `crate::{x, y::..}`.
fn named_layers(code: &str) -> BTreeSet<String> {
    let mut layers = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let names = match after.strip_prefix('{') {
            Some(list) => top_level_items(list),
            None => vec![after],
        };
        for name in names {
            let name: String = name
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if !name.is_empty() && name != "self" {
                layers.insert(name);
            }
        }
    }
    layers
}

/// `a::b, c::{d, e}}..` gives `a::b` and `c::{d, e}`.
fn top_level_items(list: &str) -> Vec<&str> {
    let (mut items, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn faces_do_not_know_each_other() {
    let faces: BTreeSet<String> = fs::read_dir(root().join("src/faces"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut findings = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("faces/"))
    {
        for other in faces
            .iter()
            .filter(|face| !source.is_below(&[&format!("faces/{face}/*")]))
        {
            if source.code.contains(&format!("faces::{other}")) {
                findings.push(format!("src/{}: names the face `{other}`", source.path));
            }
        }
    }
    assert_none(
        &findings,
        "What two faces share of HTTP belongs into `web`, and what they decide into `auth`.",
    );
}

#[test]
fn only_models_write_sql() {
    let words = [
        "sql_query",
        "insert_into(",
        "diesel::update(",
        "diesel::delete(",
        "diesel::prelude",
        "db::schema",
        "statement(",
    ];
    let layers = [
        "cli", "dev", "server", "workers", "faces", "web", "auth", "outside", "crypto", "app",
    ];
    assert_none(
        &found(&words, &layers, &[]),
        "Only `models` writes SQL: make it a method of the row, and call that.",
    );
}

#[test]
fn only_auth_opens_transactions() {
    let layers = [
        "server", "faces", "web", "models", "outside", "crypto", "app",
    ];
    assert_none(
        &found(
            &[
                ".transaction(",
                ".transaction::<",
                "build_transaction",
                " transaction(",
            ],
            &layers,
            &[],
        ),
        "Only `auth` opens transactions: a model's method takes `conn: &mut Conn` and does not care; an act of several \
         steps is a function in `auth`.",
    );
}

#[test]
fn only_auth_asks_the_clock() {
    // A bearer token's expiry, the level of a bucket, the age of a kept template.
    let exceptions = [
        "faces/gotrue/caller.rs",
        "web/limits.rs",
        "web/limits/*",
        "outside/templates.rs",
    ];
    let layers = [
        "server", "faces", "web", "models", "outside", "crypto", "db",
    ];
    assert_none(
        &found(
            &["clock.now()", "Utc::now", "SystemTime::now"],
            &layers,
            &exceptions,
        ),
        "Time is given: take `now: Timestamp` as an argument. The act in `auth` asks `app.clock` once.",
    );
}

#[test]
fn only_outside_opens_sockets() {
    let words = [
        "TcpStream::connect",
        "UnixStream::connect",
        "UdpSocket",
        "TcpListener::bind",
        "reqwest::",
        "lettre::",
    ];
    let layers = [
        "server", "workers", "faces", "web", "auth", "models", "crypto",
    ];
    assert_none(
        &found(&words, &layers, &[]),
        "Only `outside` talks to the world: write there what is asked of whom, with its timeout and size limit.",
    );
}

#[test]
fn only_faces_know_http() {
    let layers = ["auth", "models", "outside", "crypto", "db"];
    // The client is where HTTP goes out.
    let exceptions = ["outside/client/direct.rs"];
    assert_none(
        &found(
            &["axum::", "http::", "hyper::", "cookie"],
            &layers,
            &exceptions,
        ),
        "JSON shapes, cookies, redirects and status codes belong to the face: return what happened, or an error of \
         `crate::error` (whose constructors know their status).",
    );
}

#[test]
fn faces_hold_no_connection() {
    assert_none(
        &found(
            &["&mut Conn", "db.get()", "crate::db", "PooledConn"],
            &["faces", "web", "server"],
            &[],
        ),
        "A face may read a model's fields, and never its queries: ask an act of `auth`, which takes the connection late \
         and gives it back early.",
    );
}

#[test]
fn crypto_is_pure() {
    let words = [
        "std::fs",
        "std::env",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "tokio::fs",
        "tokio::net",
        "tokio::time",
        "dyn Clock",
        "SystemClock",
    ];
    assert_none(
        &found(&words, &["crypto"], &[]),
        "Same input, same output, save for functions named `generate`: pass the file's content, the moment, the setting.",
    );
}

#[test]
fn nothing_is_left_for_later_and_no_lint_is_silenced() {
    let mut findings = Vec::new();
    let mut paths = files(&root().join("src"), ".rs");
    paths.extend(files(&root().join("tests"), ".rs"));
    // In two parts, so that this file does not find itself.
    let words = [
        ["#[al", "low("],
        ["#![al", "low("],
        ["to", "do!("],
        ["unimpl", "emented!("],
        ["TO", "DO"],
        ["FIX", "ME"],
    ];
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for word in words
                .iter()
                .map(|halves| halves.concat())
                .filter(|word| line.contains(word))
            {
                let path = path.strip_prefix(root()).unwrap().display();
                findings.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    assert_none(
        &findings,
        "Use `#[expect(.., reason = \"..\")]` where a lint is wrong; finish or leave out what is not done.",
    );
}
