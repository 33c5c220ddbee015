//! Clients of the npm registry drive the built binary: `truegate dev`, over TCP, with real mail.
//!
//! What they do stands in `tests/clients/*.test.mjs`. With the server stopped every one of those tests has to
//! fail: a test that cannot fail proves nothing.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What `truegate dev` tells on its screen.
#[derive(Debug, Default, Clone)]
struct Screen {
    api: String,
    inbox: String,
    anon_key: String,
    service_role_key: String,
}

impl Screen {
    fn is_complete(&self) -> bool {
        [
            &self.api,
            &self.inbox,
            &self.anon_key,
            &self.service_role_key,
        ]
        .iter()
        .all(|told| !told.is_empty())
    }

    /// Addresses are known by the word on their line, keys by the role in them.
    fn read(&mut self, line: &str) {
        let told = |place: &str, word: &str| place.is_empty() && line.to_lowercase().contains(word);
        for word in line.split_whitespace() {
            if word.starts_with("http://") && told(&self.inbox, "inbox") {
                word.trim_end_matches('/').clone_into(&mut self.inbox);
            } else if word.starts_with("http://") && told(&self.api, "api") {
                word.trim_end_matches('/').clone_into(&mut self.api);
            }
            match role(word).as_deref() {
                Some("anon") => word.clone_into(&mut self.anon_key),
                Some("service_role") => word.clone_into(&mut self.service_role_key),
                _ => {}
            }
        }
    }
}

/// The role of a token.
fn role(word: &str) -> Option<String> {
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(word.split('.').nth(1)?)
        .ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.get("role")?.as_str().map(str::to_owned)
}

/// A `truegate dev` with a data directory of its own.
struct Dev {
    process: Child,
    screen: Screen,
    _data: TempDir,
}

impl Dev {
    fn start() -> Self {
        // Postgres runs under another account where the tests run as root.
        let data = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_truegate"))
            .args(["dev", "--data"])
            .arg(data.path())
            .env_clear()
            .envs(
                ["PATH", "HOME", "TMPDIR"]
                    .iter()
                    .filter_map(|name| Some((name, crate::support::variable(name)?))),
            )
            .env("GOTRUE_SITE_URL", "http://localhost:3000")
            .env("GOTRUE_URI_ALLOW_LIST", "http://localhost:3000/**")
            // The drivers ask for mail more often than people do.
            .env("GOTRUE_SMTP_MAX_FREQUENCY", "1ns")
            .env("GOTRUE_RATE_LIMIT_EMAIL_SENT", "1000000")
            // As GoTrue's, our own words for these two show the link alone.
            .env(
                "GOTRUE_MAILER_SUBJECTS_CONFIRMATION",
                "Confirm: {{ .Token }}",
            )
            .env("GOTRUE_MAILER_SUBJECTS_MAGIC_LINK", "Sign in: {{ .Token }}")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(process.stdout.take().unwrap());
        let (mut screen, mut shown) = (Screen::default(), String::new());
        while !screen.is_complete() {
            let Ok(line) = lines.recv_timeout(Duration::from_mins(1)) else {
                let _ = process.kill();
                panic!("truegate dev did not tell where everything is; it said:\n{shown}");
            };
            screen.read(&line);
            shown.push_str(&line);
            shown.push('\n');
        }
        Self {
            process,
            screen,
            _data: data,
        }
    }

    /// Stops it as Ctrl-C does.
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "truegate dev ended with {status}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // An unhappy test leaves it running.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
            let _ = self.process.wait();
        }
    }
}

/// Lines as they come; the pipe is emptied to the end, so that its writer never waits.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

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

fn drive(screen: &Screen) -> Run {
    let output = node(screen)
        .args([
            "--test",
            "--test-reporter=tap",
            "supabase-js.test.mjs",
            "auth-js.test.mjs",
            "gotrue-js.test.mjs",
        ])
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
    let mut dev = Dev::start();
    let run = drive(&dev.screen);
    assert_eq!(run.failed, 0, "{}", run.output);
    assert!(run.passed >= 40, "{}", run.output);

    dev.stop();
    let stopped = drive(&dev.screen);
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
    let dev = Dev::start();
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
