//! The Postgres of the bench and what is in it: users who have used their accounts before.

use std::path::PathBuf;

use tokio_postgres::{Client, NoTls};
use truegate::crypto::password::{Memory, Scheme};
use truegate::crypto::refresh_token::{RefreshKey, SignedToken};
use truegate::db::private::{InUse, Options, PrivatePostgres};

pub const USERS: usize = 10_000;
/// Of each client and form, which take turns.
pub const SESSIONS: usize = 16;
/// Of every user.
pub const PASSWORD: &str = "correct-horse-1";

/// What every seeded row shares.
pub struct Seed {
    /// The hash of the password.
    pub hash: String,
    key: RefreshKey,
    encoded_key: String,
}

/// The sessions of one client, by the form of their refresh tokens: version 1 is stored, version 2 is signed.
pub struct Sessions {
    pub stored: Vec<Seeded>,
    pub signed: Vec<Seeded>,
}

/// A session, with its refresh token.
pub struct Seeded {
    pub user: String,
    pub session: String,
    pub token: String,
    /// Of a signed token.
    pub counter: i64,
}

impl Seed {
    pub fn new() -> Self {
        let (key, encoded) = RefreshKey::generate();
        let mut memory = Memory::default();
        Self {
            hash: Scheme::ARGON2ID
                .hash(PASSWORD.as_bytes(), &mut memory)
                .unwrap(),
            key,
            encoded_key: (*encoded).clone(),
        }
    }

    /// Fills a migrated database.
    pub async fn sow(&self, database: &str) {
        let client = connect(database).await;
        let sql = include_str!("seed.sql")
            .replace("{users}", &USERS.to_string())
            .replace("{hash}", &self.hash)
            .replace("{key}", &self.encoded_key);
        client.batch_execute(&sql).await.unwrap();
        client.batch_execute("VACUUM ANALYZE").await.unwrap();
        client.batch_execute("CHECKPOINT").await.unwrap();
    }

    /// The sessions of one client after the other.
    pub async fn sessions(&self, database: &str) -> impl Iterator<Item = Sessions> {
        let sql = "SELECT s.user_id::text, s.id::text, r.token FROM auth.sessions s \
            LEFT JOIN auth.refresh_tokens r ON r.session_id = s.id AND NOT r.revoked \
            WHERE s.user_agent = 'seed' ORDER BY s.id";
        let rows = connect(database).await.query(sql, &[]).await.unwrap();
        let (mut stored, mut signed) = (Vec::new(), Vec::new());
        for row in rows {
            let session: String = row.get(1);
            let token: Option<String> = row.get(2);
            let list = if token.is_some() {
                &mut stored
            } else {
                &mut signed
            };
            let sign = || SignedToken::sign(session.parse().unwrap(), 0, &self.key).encode();
            list.push(Seeded {
                user: row.get(0),
                token: token.unwrap_or_else(sign),
                session,
                counter: 0,
            });
        }
        std::iter::from_fn(move || {
            Some(Sessions {
                stored: stored.split_off(stored.len().checked_sub(SESSIONS)?),
                signed: signed.split_off(signed.len().checked_sub(SESSIONS)?),
            })
        })
    }
}

/// A new database without tables; its URL.
pub async fn create(postgres: &PrivatePostgres, name: &str) -> String {
    let admin = connect(&postgres.url("postgres")).await;
    for sql in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name}"),
        // GoTrue's migrations need both; where ours find the schema, they take it.
        format!("ALTER DATABASE {name} SET search_path = auth"),
    ] {
        admin.batch_execute(&sql).await.unwrap();
    }
    let url = postgres.url(name);
    let client = connect(&url).await;
    client.batch_execute("CREATE SCHEMA auth").await.unwrap();
    url
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Durable, as in production. Under the target directory, used again by the next run; another one where another run
/// has it.
pub fn postgres() -> PrivatePostgres {
    let mut folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-durable");
    for more in 2.. {
        let options = Options {
            max_connections: 150,
            // Postgres' own defaults, in place of those for a developer.
            settings: ["shared_buffers=128MB", "max_wal_size=1GB"]
                .map(str::to_owned)
                .to_vec(),
            ..Options::new(&folder)
        };
        match PrivatePostgres::start(&options) {
            Ok(started) => return started,
            Err(error) if error.is::<InUse>() => {
                folder.set_file_name(format!("bench-durable-{more}"));
            }
            Err(error) => panic!("{error:#}"),
        }
    }
    unreachable!("there are always more numbers")
}
