//! The connection pool.
//!
//! A connection that Postgres has closed, that still owes an answer to a request which left, or that has an open
//! transaction is never handed out; telling so takes no round trip. A database that is away is an error at once,
//! and one that is back is used at once: nothing is remembered about it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, WeakPool};
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, TransactionManager};
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Conn;
use super::connect::{Connector, Health, Opened, Route};
use crate::config::{Config, Database};
use crate::error::{Error, Result};

/// Connections per core where nobody says how many: a request waits for Postgres most of its time.
const PER_CORE: usize = 4;
/// ..within these bounds: some requests at once on the smallest machine, and several of us on one Postgres.
const DEFAULT_SIZE: (usize, usize) = (8, 32);
/// How long the end of an answer may be under way when its beginning has been read.
const SETTLE: Duration = Duration::from_millis(20);
/// How long a connection outside the pool may take to come about.
const DIRECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to the database; cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    pool: managed::Pool<Manager>,
    /// How long a request waits for a connection.
    wait: Duration,
    /// For migrations and indexes.
    direct: Connector,
    reaper: Reaper,
    reaping: OnceLock<Option<JoinHandle<()>>>,
}

/// A connection on loan from the pool.
pub struct PooledConn(Object<Manager>);

impl Deref for PooledConn {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0.conn
    }
}

impl DerefMut for PooledConn {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0.conn
    }
}

impl Pool {
    /// A pool without connections; they are opened when they are needed. The error is for the operator's terminal.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let (db, ours) = (&config.db, &config.truegate);
        let connector = |url: &str| Connector::new(url, &db.db_namespace);
        let url = db.database_url.expose_secret();
        let migrations = ours
            .migration_database_url
            .as_ref()
            .map(ExposeSecret::expose_secret);
        let manager = Manager {
            connector: Arc::new(connector(url).context("DATABASE_URL")?),
            // Its reasons are better than that time is up.
            limit: ours.db_wait * 9 / 10,
            lifetime: db.conn_max_lifetime,
            percentage: db.conn_percentage as usize,
            share: AtomicUsize::new(0),
            opened: Arc::default(),
        };
        Ok(Self(Arc::new(Inner {
            pool: managed::Pool::builder(manager).max_size(size(db)).build()?,
            wait: ours.db_wait,
            direct: connector(migrations.unwrap_or(url))
                .context("TRUEGATE_MIGRATION_DATABASE_URL")?,
            reaper: Reaper::new(db),
            reaping: OnceLock::new(),
        })))
    }

    /// Takes a connection, or opens one, or waits for one; not longer than `TRUEGATE_DB_WAIT`.
    pub async fn get(&self) -> Result<PooledConn> {
        let Inner {
            pool,
            wait,
            reaper,
            reaping,
            ..
        } = &*self.0;
        reaping.get_or_init(|| reaper.start(pool.weak()));
        let taken = timeout(*wait, pool.get()).await.unwrap_or_else(|_| {
            Err(PoolError::Backend(anyhow!(
                "no connection to the database within {wait:?}"
            )))
        });
        let conn = taken.map_err(|error| match error {
            PoolError::Backend(cause) => Error::database_away(cause),
            other => Error::database_away(anyhow!("no connection to the database: {other:?}")),
        })?;
        let share = pool.manager().share.swap(0, Ordering::Relaxed);
        if share > 0 {
            pool.resize(share);
        }
        Ok(PooledConn(conn))
    }

    /// Opens a connection of its own, to `TRUEGATE_MIGRATION_DATABASE_URL` where there is one: for migrations and
    /// indexes, which a pooler may not carry.
    pub async fn direct(&self) -> Result<Client> {
        let opened = self.0.direct.connect(DIRECT_TIMEOUT).await;
        Ok(opened.map_err(Error::database_away)?.client)
    }

    /// Closes the connections that are not in use, and the others when they come back. From now on there are none.
    pub fn close(&self) {
        self.0.pool.close();
    }
}

/// How many connections at most.
fn size(config: &Database) -> usize {
    let (least, most) = DEFAULT_SIZE;
    match (config.conn_percentage, config.max_pool_size as usize) {
        (0, 0) => (std::thread::available_parallelism().map_or(1, usize::from) * PER_CORE)
            .clamp(least, most),
        (0, size) => size,
        // The first connection learns how many more there may be. (deadpool grows, and does not shrink its permits.)
        _ => 1,
    }
}

/// Opens connections for the pool, and tells which may be used again.
struct Manager {
    connector: Arc<Connector>,
    /// For a new connection.
    limit: Duration,
    /// 0: for ever.
    lifetime: Duration,
    /// `DB_CONN_PERCENTAGE`
    percentage: usize,
    /// What that comes to, until the pool has taken notice.
    share: AtomicUsize,
    opened: Arc<Notify>,
}

struct Session {
    conn: Conn,
    health: Arc<Health>,
    route: Route,
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = anyhow::Error;

    async fn create(&self) -> anyhow::Result<Session> {
        // Boxed, as it is rare and large: every request would carry room for it.
        let Opened {
            client,
            health,
            route,
        } = Box::pin(self.connector.connect(self.limit)).await?;
        if self.percentage > 0 {
            let share = Box::pin(share(&client, self.percentage)).await?;
            self.share.store(share, Ordering::Relaxed);
        }
        let conn = AsyncPgConnection::try_from(client).await?;
        self.opened.notify_one();
        Ok(Session {
            conn,
            health,
            route,
        })
    }

    async fn recycle(
        &self,
        session: &mut Session,
        metrics: &Metrics,
    ) -> RecycleResult<anyhow::Error> {
        let refuse = |why: &'static str| Err(RecycleError::message(why));
        if !session.health.is_idle() {
            // Who reads one row does not wait for the end of the answer.
            let _ = timeout(SETTLE, session.health.settled()).await;
        }
        if session.health.is_closed() {
            return refuse("it is closed");
        }
        if !session.health.is_idle() {
            // Whoever asked has gone. Postgres would finish first, perhaps after waiting long for a lock.
            let (token, route) = (session.conn.cancel_token(), session.route.clone());
            let connector = Arc::clone(&self.connector);
            tokio::spawn(async move {
                // It may be done by now, or the server away.
                let _ = timeout(DIRECT_TIMEOUT, connector.cancel(token, &route)).await;
            });
            return refuse("it is at work");
        }
        if AnsiTransactionManager::is_broken_transaction_manager(&mut session.conn) {
            return refuse("it has an open transaction");
        }
        if !self.lifetime.is_zero() && metrics.age() >= self.lifetime {
            return refuse("it is too old");
        }
        Ok(())
    }
}

/// What `percentage` of the server's connections is; one at least.
async fn share(client: &Client, percentage: usize) -> anyhow::Result<usize> {
    let answer = client.simple_query("SHOW max_connections").await?;
    let limit = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<usize>().ok(),
        _ => None,
    });
    let limit = limit.context("Postgres does not tell its max_connections")?;
    Ok((limit * percentage / 100).max(1))
}

/// Closes connections that nobody uses. Rests while there are none.
#[derive(Debug, Clone, Copy)]
struct Reaper {
    /// How often; 0: never.
    period: Duration,
    /// 0: no limit, as below.
    idle: Duration,
    lifetime: Duration,
    most: usize,
}

impl Reaper {
    fn new(config: &Database) -> Self {
        let limits = [config.conn_max_idle_time, config.conn_max_lifetime];
        let shortest = limits.into_iter().filter(|limit| !limit.is_zero()).min();
        let shortest =
            shortest.or((config.max_idle_pool_size > 0).then_some(Duration::from_mins(1)));
        let fitting = shortest
            .map(|limit| (limit / 2).clamp(Duration::from_millis(100), Duration::from_secs(30)));
        let asked = Some(config.health_check_period).filter(|period| !period.is_zero());
        Self {
            period: fitting
                .map(|fitting| asked.unwrap_or(fitting))
                .unwrap_or_default(),
            idle: config.conn_max_idle_time,
            lifetime: config.conn_max_lifetime,
            most: config.max_idle_pool_size as usize,
        }
    }

    fn start(self, pool: WeakPool<Manager>) -> Option<JoinHandle<()>> {
        (!self.period.is_zero()).then(|| tokio::spawn(self.run(pool)))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "it has nothing to do until connections have aged"
    )]
    async fn run(self, weak: WeakPool<Manager>) {
        loop {
            tokio::time::sleep(self.period).await;
            let Some(pool) = weak.upgrade().filter(|pool| !pool.is_closed()) else {
                return;
            };
            self.reap(&pool);
            let opened = (pool.status().size == 0).then(|| Arc::clone(&pool.manager().opened));
            drop(pool);
            if let Some(opened) = opened {
                opened.notified().await;
            }
        }
    }

    fn reap(self, pool: &managed::Pool<Manager>) {
        let within = |limit: Duration, time: Duration| limit.is_zero() || time < limit;
        let mut kept = 0;
        pool.retain(|session, metrics| {
            let keep = !session.health.is_closed()
                && within(self.idle, metrics.last_used())
                && within(self.lifetime, metrics.age())
                && (self.most == 0 || kept < self.most);
            kept += usize::from(keep);
            keep
        });
    }
}
