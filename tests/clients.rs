//! Clients of the npm registry drive the built binary: `truegate dev`, over TCP, with real mail.
//!
//! What they do stands in `tests/clients/*.test.mjs`.

mod browser;
mod dev;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use dev::{Dev, Screen, lines};

/// The files that need no browser. With the server stopped every one of their tests has to fail: a test that cannot
/// fail proves nothing.
const FILES: [&str; 3] = [
    "supabase-js.test.mjs",
    "auth-js.test.mjs",
    "gotrue-js.test.mjs",
];

const SETTINGS: [(&str, &str); 6] = [
    ("GOTRUE_SITE_URL", "http://localhost:3000"),
    ("GOTRUE_URI_ALLOW_LIST", "http://localhost:3000/**"),
    // The drivers ask for mail more often than people do.
    ("GOTRUE_SMTP_MAX_FREQUENCY", "1ns"),
    ("GOTRUE_RATE_LIMIT_EMAIL_SENT", "1000000"),
    // As GoTrue's, our own words for these two show the link alone.
    (
        "GOTRUE_MAILER_SUBJECTS_CONFIRMATION",
        "Confirm: {{ .Token }}",
    ),
    ("GOTRUE_MAILER_SUBJECTS_MAGIC_LINK", "Sign in: {{ .Token }}"),
];

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    assert!(
        folder.join("node_modules").is_dir(),
        "the clients are not installed: type `tools/setup test`"
    );
    folder
}

fn node(screen: &Screen) -> Command {
    let mut node = Command::new("node");
    node.current_dir(folder())
        .env("API", &screen.api)
        .env("INBOX", &screen.inbox)
        .env("ANON_KEY", &screen.anon_key)
        .env("SERVICE_ROLE_KEY", &screen.service_role_key);
    node
}

/// How a run of the drivers ended.
struct Run {
    passed: usize,
    failed: usize,
    output: String,
}

/// Runs the tests of these files.
fn drive(mut node: Command, files: &[&str]) -> Run {
    let output = node
        .args(["--test", "--test-reporter=tap"])
        .args(files)
        .output()
        .expect("node is there: `tools/setup test` installs it");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |what: &str| {
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix(what))
            .unwrap_or_else(|| panic!("{output}"));
        line.trim().parse().unwrap()
    };
    Run {
        passed: count("# pass "),
        failed: count("# fail "),
        output,
    }
}

#[test]
fn clients_of_others_work() {
    let mut dev = Dev::start(&["--port", "0"], &SETTINGS);
    let run = drive(node(&dev.screen), &FILES);
    assert_eq!(run.failed, 0, "{}", run.output);
    assert!(run.passed >= 40, "{}", run.output);

    dev.stop();
    let stopped = drive(node(&dev.screen), &FILES);
    assert_eq!(
        (stopped.passed, stopped.failed),
        (0, run.passed),
        "{}",
        stopped.output
    );
}

#[test]
fn the_lines_of_the_readme_work() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let program = readme
        .split("```js\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(program.lines().count(), 10, "README.md says ten lines");
    let dev = Dev::start(&["--port", "0"], &SETTINGS);
    let program = program
        .replace("http://localhost:9999", &dev.screen.api)
        .replace("http://localhost:8025", &dev.screen.inbox);

    // As its reader does: a file beside the installed client. Node before 22 has no WebSocket, which these
    // lines do not need.
    let desk = tempfile::tempdir().unwrap();
    symlink(
        folder().join("node_modules"),
        desk.path().join("node_modules"),
    )
    .unwrap();
    let program = format!("globalThis.WebSocket ??= class {{}}\n{program}");
    fs::write(desk.path().join("ada.mjs"), program).unwrap();
    let mut person = node(&dev.screen)
        .current_dir(desk.path())
        .args(["ada.mjs", &dev.screen.anon_key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = lines(person.stdout.take().unwrap());
    let first = said.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(first.contains("then press Enter"), "{first}");

    let follow = "const { mail, follow } = await import('./world.mjs')
                  await follow((await mail('ada@example.com')).link)";
    let followed = node(&dev.screen)
        .args(["--input-type=module", "--eval", follow])
        .status()
        .unwrap();
    assert!(followed.success());
    person.stdin.take().unwrap().write_all(b"\n").unwrap();

    let rest: Vec<String> = said.iter().collect();
    assert!(person.wait().unwrap().success());
    let answers = rest
        .iter()
        .filter(|line| line.contains("error: null"))
        .count();
    assert_eq!(
        answers,
        4,
        "signed in, refreshed, changed, signed out:\n{}",
        rest.join("\n")
    );
}
