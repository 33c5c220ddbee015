//! A server in a process of its own, over TCP, its mail over SMTP: `TRUEGATE_REPLAY_SERVER=COMMAND cargo test golden`
//! replays everything against the built binary, or against a GoTrue to prove that the replayer is right.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::server::{Answer, Request};
use crate::support::database::Database;
use crate::support::outbox::{Mail, Outbox};
use crate::support::port::Port;
use crate::support::smtp::Smtp;
use crate::support::variable;

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a mail that is expected may take.
const MAIL_LIMIT: Duration = Duration::from_secs(6);
/// How long to listen for a mail that nobody expects.
const SILENCE: Duration = Duration::from_millis(150);

pub struct Process {
    port: u16,
    outbox: Outbox,
    _smtp: Smtp,
    /// Killed when dropped.
    _child: Child,
}

/// The command to replay against, when there is one.
pub fn command() -> Option<String> {
    variable("TRUEGATE_REPLAY_SERVER")
}

impl Process {
    pub async fn start(
        command: &str,
        environment: HashMap<String, String>,
        database: &Database,
    ) -> Result<Self, String> {
        let outbox = Outbox::default();
        let smtp = Smtp::start(outbox.clone()).await;
        let free = Port::free();
        let port = free.port;
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .env_clear()
            .envs(
                ["PATH", "HOME"]
                    .into_iter()
                    .filter_map(|name| Some((name, variable(name)?))),
            )
            .env("TZ", "UTC")
            .env("GOTRUE_SMTP_HOST", smtp.address.ip().to_string())
            .env("GOTRUE_SMTP_PORT", smtp.address.port().to_string())
            .env("GOTRUE_API_HOST", "127.0.0.1")
            .envs(["PORT", "GOTRUE_API_PORT"].map(|name| (name, port.to_string())))
            .envs(["DATABASE_URL", "GOTRUE_DB_DATABASE_URL"].map(|name| (name, &database.url)))
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;

        let started = Instant::now();
        let health = Request {
            method: http::Method::GET,
            path: "/health".into(),
            headers: vec![],
            body: "".into(),
        };
        while !exchange(port, &health)
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(format!("the server ended at once: {status}"));
            }
            if started.elapsed() > START_LIMIT {
                return Err("the server did not answer".into());
            }
            pause(Duration::from_millis(10)).await;
        }
        Ok(Self {
            port,
            outbox,
            _smtp: smtp,
            _child: child,
        })
    }

    pub async fn send(&self, request: &Request) -> Result<Answer, String> {
        exchange(self.port, request)
            .await
            .map_err(|error| error.to_string())
    }

    pub async fn take_mail(&self, to: Option<&str>) -> Option<Mail> {
        let started = Instant::now();
        loop {
            let mail = self.outbox.take(to);
            if mail.is_some() || started.elapsed() > MAIL_LIMIT {
                return mail;
            }
            pause(Duration::from_millis(5)).await;
        }
    }

    pub async fn unread_mails(&self, expected: usize) -> usize {
        pause(SILENCE).await;
        let started = Instant::now();
        while self.outbox.len() < expected && started.elapsed() < MAIL_LIMIT {
            pause(Duration::from_millis(5)).await;
        }
        self.outbox.len()
    }
}

/// Lets time pass where the clock is the machine's.
pub async fn wait(time: TimeDelta) {
    pause(time.to_std().unwrap()).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is not ours to wake"
)]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// One request on a connection of its own, written by hand so that nothing in it is made tidy on the way.
async fn exchange(port: u16, request: &Request) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n",
        request.method, request.path
    );
    head += "Connection: close\r\n";
    for (name, value) in &request.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    if !request.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&request.method.as_str()) {
        write!(head, "Content-Length: {}\r\n", request.body.len()).unwrap();
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await?;
    // A server that has heard enough may answer and hang up before it read everything.
    stream.write_all(&request.body).await.ok();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        Err(error) if bytes.is_empty() => return Err(error),
        _ => {}
    }
    read_answer(&bytes).ok_or_else(|| std::io::Error::other("no complete HTTP answer"))
}

fn read_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = bytes.get(end + 4..)?;
    let body = match headers.iter().find(|(name, _)| name == "transfer-encoding") {
        Some(_) => unchunk(body)?,
        None => body.to_vec(),
    };
    Some(Answer {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(
            std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?,
            16,
        )
        .ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
