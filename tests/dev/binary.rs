//! `truegate dev` as a person starts it: the built binary in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};

use super::private_postgres::{directory, directory_with_cluster, postmaster, wait_until};

/// A running `truegate dev`; killed when dropped.
struct Dev {
    process: Child,
    screen: String,
    /// From the start of the process to the last line of the screen.
    took: Duration,
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn truegate(data: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_truegate"));
    command
        .arg("dev")
        .arg("--data")
        .arg(data)
        .args(["--port", &port.to_string()]);
    // Whoever runs the tests may have settings of their own.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir("/");
    command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    command
}

impl Dev {
    fn start(data: &Path) -> Self {
        Self::spawn(&mut truegate(data, 0))
    }

    fn spawn(command: &mut Command) -> Self {
        let start = Instant::now();
        let mut process = command.spawn().unwrap();
        let mut screen = String::new();
        let mut out = BufReader::new(process.stdout.as_mut().unwrap());
        while !screen.contains("Stop with Ctrl-C") {
            assert_ne!(
                out.read_line(&mut screen).unwrap(),
                0,
                "it ended early: {screen}"
            );
        }
        Self {
            process,
            screen,
            took: start.elapsed(),
        }
    }

    /// The port in the line that begins with `label`.
    fn port(&self, label: &str) -> u16 {
        let line = self
            .screen
            .lines()
            .find(|line| line.trim_start().starts_with(label))
            .unwrap();
        let port = line.split_once("http://localhost:").unwrap().1;
        port.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn keys(&self) -> Vec<&str> {
        self.screen
            .lines()
            .filter(|line| line.starts_with("eyJ"))
            .collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

/// Status, headers and body of an answer.
fn send(port: u16, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("localhost", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    write!(stream, "{head}{headers}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn ask(port: u16, path: &str) -> (u16, String) {
    let (status, _, body) = send(port, "GET", path, "", "");
    (status, body)
}

#[test]
fn one_screen_says_all_and_nothing_is_left_behind() {
    let dir = directory();
    let mut dev = Dev::start(dir.path());
    println!("first screen after {:?}", dev.took);
    let (api, inbox) = (dev.port("API"), dev.port("Inbox"));
    for path in [
        "/health",
        "/auth/v1/health",
        "/settings",
        "/auth/v1/settings",
        "/swagger/",
        "/auth/v1/swagger/gotrue.yaml",
    ] {
        assert_eq!(ask(api, path).0, 200, "{path}");
    }
    let keys: Vec<String> = dev.keys().into_iter().map(str::to_owned).collect();
    assert_eq!(keys.len(), 2);
    let admin = |key: &str| {
        let headers = format!("Authorization: Bearer {key}\r\napikey: {key}\r\n");
        send(api, "GET", "/auth/v1/admin/users", &headers, "").0
    };
    assert_eq!(
        (admin(&keys[0]), admin(&keys[1])),
        (403, 200),
        "anon, service_role"
    );
    assert_eq!(ask(inbox, "/api/v1/messages").0, 200);
    assert!(
        dev.screen
            .contains(&format!("Data          {}", dir.path().display())),
        "{}",
        dev.screen
    );
    assert!(dev.screen.lines().count() <= 24, "one screen");

    let database = postmaster(dir.path()).unwrap();
    dev.signal(Signal::TERM);
    assert!(dev.process.wait().unwrap().success());
    assert!(
        test_kill_process(database).is_err(),
        "Postgres stops with it"
    );
    assert!(TcpStream::connect(("localhost", api)).is_err());

    let mut dev = Dev::start(dir.path());
    println!("second screen after {:?}", dev.took);
    assert_eq!(dev.keys(), keys, "keys stay valid");
    dev.signal(Signal::INT);
    assert!(dev.process.wait().unwrap().success());
}

#[test]
fn a_browser_page_signs_up_follows_the_mail_and_signs_in() {
    let dir = directory_with_cluster();
    let dev = Dev::start(dir.path());
    let (api, inbox) = (dev.port("API"), dev.port("Inbox"));
    let origin = "Origin: http://localhost:5173\r\n";
    let preflight = format!(
        "{origin}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: apikey, authorization, x-client-info, content-type\r\n"
    );
    let (_, head, _) = send(api, "OPTIONS", "/auth/v1/signup", &preflight, "");
    assert!(
        head.contains("access-control-allow-origin: ") && head.contains("apikey"),
        "{head}"
    );

    let headers = format!(
        "{origin}apikey: {}\r\nContent-Type: application/json\r\n",
        dev.keys()[0]
    );
    let credentials = r#"{"email":"alice@example.com","password":"correct horse 1"}"#;
    let post = |path: &str| send(api, "POST", path, &headers, credentials);
    let (status, _, body) = post("/auth/v1/signup");
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        post("/auth/v1/token?grant_type=password").0,
        400,
        "not confirmed yet"
    );

    let mut mail = serde_json::Value::Null;
    wait_until("the mail arrives", || {
        let (_, found) = ask(inbox, "/api/v1/search?query=to:alice@example.com");
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        mail = found["messages"][0].clone();
        !mail.is_null()
    });
    let link = mail["Link"].as_str().unwrap();
    let path = link
        .strip_prefix(&format!("http://localhost:{api}"))
        .expect("the link leads to this server");
    let (status, head, _) = send(api, "GET", path, "", "");
    assert_eq!(status, 303);
    assert!(
        head.contains("\r\nlocation: http://localhost:3000#access_token="),
        "{head}"
    );

    let (status, head, body) = post("/auth/v1/token?grant_type=password");
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("access-control-allow-origin"), "{head}");
    let grant: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(grant["user"]["aud"], "authenticated");
}

#[test]
fn two_side_by_side_and_none_in_anothers_directory() {
    let dirs = [directory_with_cluster(), directory_with_cluster()];
    let one = Dev::start(dirs[0].path());
    let two = Dev::start(dirs[1].path());
    assert_ne!(one.port("API"), two.port("API"));
    assert_ne!(one.port("Inbox"), two.port("Inbox"));
    assert_ne!(one.keys(), two.keys());

    let refused = |data: &Path, port| {
        let output = truegate(data, port)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let words = refused(dirs[0].path(), 0);
    assert!(
        words.contains(&format!("(process {})", one.process.id())) && words.contains("--data"),
        "{words}"
    );
    let words = refused(directory().path(), one.port("API"));
    assert!(
        words.contains("is taken") && words.contains("--port"),
        "{words}"
    );
}

#[test]
fn killed_it_takes_its_database_along() {
    let dir = directory_with_cluster();
    let mut dev = Dev::start(dir.path());
    let database = postmaster(dir.path()).unwrap();
    dev.process.kill().unwrap();
    dev.process.wait().unwrap();
    let again = Dev::start(dir.path());
    assert_eq!(ask(again.port("API"), "/settings").0, 200);
    wait_until("the first database is gone", || {
        test_kill_process(database).is_err()
    });
}

#[test]
fn a_normal_user_can_start_it_too() {
    if !geteuid().is_root() {
        return; // every other test here shows it
    }
    // Without --data: where XDG says.
    let nobody = 65534;
    let dir = directory();
    std::os::unix::fs::chown(dir.path(), Some(nobody), Some(nobody)).unwrap();
    let home = dir.path().join("home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_truegate"));
    command
        .args(["dev", "--port", "0"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &home);
    command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .current_dir("/");
    let mut dev = Dev::spawn(command.uid(nobody).gid(nobody));
    assert_eq!(ask(dev.port("API"), "/settings").0, 200);
    assert!(home.join(".local/share/truegate/secret").exists());
    dev.signal(Signal::HUP);
    assert!(dev.process.wait().unwrap().success());
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
}
