//! What a scenario talks to: a server with a database, a mailbox and a clock.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::TimeDelta;
use http::Method;
use truegate::clock::Timestamp;

use super::process::Process;
use crate::support::database::Database;
use crate::support::outbox::Mail;

/// The server under test.
pub enum Server {
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
    pub async fn start(environment: HashMap<String, String>, database: &Database) -> Result<Self, String> {
        Ok(Self::Process(Process::start(environment, database).await?))
    }

    pub async fn send(&mut self, request: &Request) -> Result<Answer, String> {
        match self {
            Self::Process(process) => process.send(request).await,
        }
    }

    /// The server's clock.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Process(process) => process.now(),
        }
    }

    /// Lets time pass.
    pub async fn advance(&mut self, by: TimeDelta) {
        match self {
            Self::Process(process) => process.wait(by).await,
        }
    }

    /// The oldest unread mail, to this address if one is given.
    pub async fn take_mail(&mut self, to: Option<&str>) -> Option<Mail> {
        match self {
            Self::Process(process) => process.take_mail(to).await,
        }
    }

    /// How many mails are unread. The number that is expected tells a slow server how long to wait.
    pub async fn unread_mails(&mut self, expected: usize) -> usize {
        match self {
            Self::Process(process) => process.unread_mails(expected).await,
        }
    }
}
