//! What a scenario talks to: a server with a database, a mailbox and a clock.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::TimeDelta;
use http::Method;
use truegate::clock::{Clock as _, SystemClock, Timestamp};

use super::process::{self, Process};
use crate::support::app::TestApp;
use crate::support::database::Database;
use crate::support::outbox::Mail;

/// The server under test.
pub enum Server {
    /// In this process, with a clock that we set.
    App(TestApp),
    /// A command of its own, over TCP, with mail over SMTP.
    Process(Process),
}

/// What to send; the path goes out as it stands.
pub struct Request {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Server {
    /// Starts a server with this environment. The error says why it did not start.
    pub async fn start(
        environment: HashMap<String, String>,
        database: &Database,
    ) -> Result<Self, String> {
        match process::command() {
            Some(command) => Process::start(&command, environment, database)
                .await
                .map(Self::Process),
            None => TestApp::on(database, environment).await.map(Self::App),
        }
    }

    pub async fn send(&mut self, request: &Request) -> Result<Answer, String> {
        match self {
            Self::App(app) => send_to_app(app, request).await,
            Self::Process(process) => process.send(request).await,
        }
    }

    /// The server's clock.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::App(app) => app.clock.now(),
            Self::Process(_) => SystemClock.now(),
        }
    }

    /// No step happens before what the database has written for an earlier one.
    pub fn catch_up(&self) {
        if let Self::App(app) = self {
            app.clock.catch_up();
        }
    }

    /// Lets time pass.
    pub async fn advance(&mut self, by: TimeDelta) {
        match self {
            Self::App(app) => app.clock.advance(by),
            Self::Process(_) => process::wait(by).await,
        }
    }

    /// The oldest unread mail, to this address if one is given.
    pub async fn take_mail(&mut self, to: Option<&str>) -> Option<Mail> {
        match self {
            Self::App(app) => app.outbox.take(to),
            Self::Process(process) => process.take_mail(to).await,
        }
    }

    /// How many mails are unread. The number that is expected tells a slow server how long to wait.
    pub async fn unread_mails(&mut self, expected: usize) -> usize {
        match self {
            Self::App(app) => app.outbox.len(),
            Self::Process(process) => process.unread_mails(expected).await,
        }
    }
}

async fn send_to_app(app: &TestApp, request: &Request) -> Result<Answer, String> {
    let mut built = http::Request::builder()
        .method(&request.method)
        .uri(&request.path)
        .header("host", "127.0.0.1");
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let reply = app
        .send(
            built
                .body(request.body.clone().into())
                .map_err(|error| error.to_string())?,
        )
        .await;
    let headers = reply.headers.iter().map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    Ok(Answer {
        status: reply.status.as_u16(),
        headers: headers.collect(),
        body: reply.body,
    })
}
