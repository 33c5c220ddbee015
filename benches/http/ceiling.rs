//! What nobody can exceed on this machine: the one statement that a request needs at least, sent straight to Postgres,
//! and the hash of a password without anything around it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use truegate::crypto::password::{Memory, PasswordHash};
use truegate::crypto::refresh_token::RefreshToken;

use crate::database::{PASSWORD, SESSIONS, Sessions, connect};

#[derive(Clone, Copy)]
pub enum Ceiling {
    Asked(Query),
    Hash,
}

#[derive(Clone, Copy)]
pub enum Query {
    User,
    RefreshV1,
    RefreshV2,
}

/// A connection that sends the statement for one session after the other.
pub struct Asker {
    client: Client,
    user: Statement,
    refresh_v1: Statement,
    refresh_v2: Statement,
    sessions: Sessions,
    asked: usize,
}

impl Asker {
    pub async fn new(database: &str, sessions: Sessions) -> Self {
        let client = connect(database).await;
        let statement = async |sql| client.prepare(sql).await.unwrap();
        Self {
            user: statement(include_str!("ceiling/user.sql")).await,
            refresh_v1: statement(include_str!("ceiling/refresh_v1.sql")).await,
            refresh_v2: statement(include_str!("ceiling/refresh_v2.sql")).await,
            sessions,
            asked: 0,
            client,
        }
    }

    pub async fn ask(&mut self, query: Query) {
        self.asked += 1;
        let turn = self.asked % SESSIONS;
        let (stored, signed) = (
            &mut self.sessions.stored[turn],
            &mut self.sessions.signed[turn],
        );
        let row = match query {
            Query::User => {
                let named: [&(dyn ToSql + Sync); 2] = [&stored.user, &stored.session];
                self.client.query_one(&self.user, &named).await
            }
            Query::RefreshV1 => {
                let old = std::mem::replace(&mut stored.token, RefreshToken::generate());
                let tokens: [&(dyn ToSql + Sync); 2] = [&old, &stored.token];
                self.client.query_one(&self.refresh_v1, &tokens).await
            }
            Query::RefreshV2 => {
                let old = signed.counter;
                signed.counter += 1;
                let state: [&(dyn ToSql + Sync); 2] = [&signed.session, &old];
                self.client.query_one(&self.refresh_v2, &state).await
            }
        };
        row.unwrap();
    }
}

/// Every core checks the password against that hash, again and again. How long each check took.
pub async fn hash(stored: &str, time: Duration) -> Vec<Duration> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let threads = (0..cores).map(|_| {
        let stored = PasswordHash::parse(stored).unwrap();
        spawn_blocking(move || {
            let (mut memory, mut times) = (Memory::default(), Vec::new());
            let start = Instant::now();
            while start.elapsed() < time {
                let begin = Instant::now();
                assert!(stored.verify(PASSWORD.as_bytes(), &mut memory));
                times.push(begin.elapsed());
            }
            times
        })
    });
    let times = join_all(threads).await;
    times.into_iter().flat_map(Result::unwrap).collect()
}
