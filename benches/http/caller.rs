//! Somebody who uses the API over one connection: HTTP/1.1 by hand, to leave the cores to those who are measured.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::database::{PASSWORD, SESSIONS, Seeded, Sessions, USERS};

#[derive(Clone, Copy)]
pub enum Act {
    Health,
    Jwks,
    User,
    RefreshV1,
    RefreshV2,
    Login,
    Signup,
}

pub struct Caller {
    connection: Connection,
    /// Tells it from the others.
    number: usize,
    /// Those whose refresh tokens are of version 1, and of version 2.
    stored: Vec<Session>,
    signed: Vec<Session>,
    acts: usize,
}

struct Session {
    access_token: String,
    refresh_token: String,
}

impl Caller {
    /// Somebody with these sessions, each refreshed once.
    pub async fn new(port: u16, number: usize, sessions: &Sessions) -> Self {
        let mut connection = Connection::open(port).await.unwrap();
        Self {
            stored: connection.refresh_all(&sessions.stored).await,
            signed: connection.refresh_all(&sessions.signed).await,
            connection,
            number,
            acts: 0,
        }
    }

    pub async fn act(&mut self, act: Act) {
        self.acts += 1;
        let turn = self.acts % SESSIONS;
        match act {
            Act::Health => drop(self.connection.get("/health", "").await),
            Act::Jwks => drop(self.connection.get("/.well-known/jwks.json", "").await),
            Act::User => {
                let session = &self.stored[turn];
                let bearer = format!("Authorization: Bearer {}\r\n", session.access_token);
                self.connection.get("/user", &bearer).await;
            }
            Act::RefreshV1 => self.connection.refresh(&mut self.stored[turn]).await,
            Act::RefreshV2 => self.connection.refresh(&mut self.signed[turn]).await,
            Act::Login => {
                // Prime numbers: all users take turns, in no order.
                let user = (self.number * 7919 + self.acts * 104_729) % USERS + 1;
                let email = format!("user{user}@example.com");
                self.sign_in("/token?grant_type=password", &email).await;
            }
            Act::Signup => {
                let email = format!("new{}-{}@example.com", self.number, self.acts);
                self.sign_in("/signup", &email).await;
            }
        }
    }

    async fn sign_in(&mut self, path: &str, email: &str) {
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        drop(Session::from(self.connection.post(path, &body).await));
    }
}

impl From<String> for Session {
    fn from(answer: String) -> Self {
        let text = |name: &str| {
            let (_, rest) = answer.split_once(&format!(r#""{name}":""#)).expect(&answer);
            rest.split('"').next().unwrap().to_owned()
        };
        Self {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
        }
    }
}

/// A connection that is kept.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub async fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub async fn get(&mut self, path: &str, headers: &str) -> String {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ))
        .await
    }

    async fn post(&mut self, path: &str, body: &str) -> String {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    async fn refresh(&mut self, session: &mut Session) {
        *session = self.exchange(&session.refresh_token).await;
    }

    async fn refresh_all(&mut self, seeded: &[Seeded]) -> Vec<Session> {
        let mut sessions = Vec::new();
        for Seeded { token, .. } in seeded {
            sessions.push(self.exchange(token).await);
        }
        sessions
    }

    async fn exchange(&mut self, refresh_token: &str) -> Session {
        let body = format!(r#"{{"refresh_token":"{refresh_token}"}}"#);
        let path = "/token?grant_type=refresh_token";
        Session::from(self.post(path, &body).await)
    }

    /// The body of the answer, which has to be a 200.
    async fn send(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).await.unwrap();
        let status = self.line().await;
        let mut length = None;
        loop {
            let line = self.line().await.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse().unwrap());
            }
        }
        let mut body = Vec::new();
        if let Some(length) = length {
            self.take(length, &mut body).await;
        } else {
            // GoTrue sends what is longer than 2 KiB in chunks.
            loop {
                let length = usize::from_str_radix(&self.line().await, 16).unwrap();
                self.take(length, &mut body).await;
                self.line().await;
                if length == 0 {
                    break;
                }
            }
        }
        let body = String::from_utf8(body).unwrap();
        assert!(status.contains(" 200 "), "{request}\n{status}\n{body}");
        body
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.truncate(line.trim_end().len());
        line
    }

    async fn take(&mut self, length: usize, body: &mut Vec<u8>) {
        let start = body.len();
        body.resize(start + length, 0);
        self.0.read_exact(&mut body[start..]).await.unwrap();
    }
}
