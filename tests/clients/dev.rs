//! `truegate dev` as a person starts it: a process of its own.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What `truegate dev` tells on its screen.
#[derive(Debug, Default, Clone)]
pub struct Screen {
    pub api: String,
    pub inbox: String,
    pub anon_key: String,
    pub service_role_key: String,
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
pub struct Dev {
    process: Child,
    pub screen: Screen,
    _data: TempDir,
}

impl Dev {
    /// With these arguments and settings besides.
    pub fn start(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        // Postgres runs under another account where the tests run as root.
        let data = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_truegate"))
            .args(["dev", "--data"])
            .arg(data.path())
            .args(arguments)
            .env_clear()
            .envs(
                ["PATH", "HOME", "TMPDIR"]
                    .iter()
                    .filter_map(|name| Some((name, crate::support::variable(name)?))),
            )
            .envs(settings.iter().copied())
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
    pub fn stop(&mut self) {
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
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
