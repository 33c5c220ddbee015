//! A database for each test, on the Postgres of `TEST_DATABASE_URL`, or else on a private one.
//!
//! One thread with one connection makes and drops them: a test's own runtime is gone when its database is to be
//! dropped. A database carries the name of its run, and a run is alive as long as its connection is; what dead
//! runs left behind is dropped at the start.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_postgres::{Client, NoTls};
use url::Url;

use super::variable;

/// Connections that one test may hold: its pool, and what it looks at rows with.
const CONNECTIONS_PER_TEST: usize = 8;

/// A database of one's own; dropped with this value.
pub struct Database {
    name: String,
    /// For the superuser.
    pub url: String,
    /// How many tests may have a database at once is a question of Postgres' connections.
    _permit: OwnedSemaphorePermit,
}

impl Database {
    /// A database with nothing in it.
    pub async fn empty() -> Self {
        Self::create("template1").await
    }

    async fn create(template: &'static str) -> Self {
        let permit = POSTGRES.permits.clone().acquire_owned().await.unwrap();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}_{}", POSTGRES.run, COUNT.fetch_add(1, Ordering::Relaxed));
        let (done, made) = oneshot::channel();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY");
        let done = || done.send(()).unwrap_or_default();
        POSTGRES.jobs.send(Job { sql, done: Box::new(done) }).unwrap();
        made.await.expect("the database was made");
        Self { url: POSTGRES.url(&name), name, _permit: permit }
    }

    /// Empties the tables of the server, but for the ledgers of its migrations.
    pub async fn clear(&self) {
        let client = self.connect().await;
        let tables = "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables
            WHERE schemaname IN ('auth', 'truegate') AND tablename NOT LIKE '%migrations'";
        if let Some(tables) = client.query_one(tables, &[]).await.unwrap().get::<_, Option<String>>(0) {
            client.batch_execute(&format!("TRUNCATE {tables} CASCADE")).await.unwrap();
        }
    }

    /// A connection of the test's own, beside those of the server.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (done, dropped) = std::sync::mpsc::channel();
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let job = Job { sql, done: Box::new(move || done.send(()).unwrap_or_default()) };
        // Waits, so that the last test's database is dropped before the process ends.
        if POSTGRES.jobs.send(job).is_ok() {
            dropped.recv().ok();
        }
    }
}

/// A statement for the thread, and what to do afterwards.
struct Job {
    sql: String,
    done: Box<dyn FnOnce() + Send>,
}

struct Postgres {
    base: Url,
    run: String,
    jobs: mpsc::UnboundedSender<Job>,
    permits: std::sync::Arc<Semaphore>,
}

static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

impl Postgres {
    fn start() -> Self {
        let base = variable("TEST_DATABASE_URL").expect("TEST_DATABASE_URL");
        let base = Url::parse(&base).unwrap();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let run = format!("truegate_test_{}_{since}", std::process::id());
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let (ready, started) = std::sync::mpsc::channel();
        let url = with_database(&base, "postgres", &run);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = connect(&url).await;
                drop_leftovers(&client).await;
                let limit = client.query_one("SHOW max_connections", &[]).await.unwrap();
                ready.send(limit.get::<_, String>(0).parse::<usize>().unwrap()).unwrap();
                while let Some(job) = queue.recv().await {
                    client.batch_execute(&job.sql).await.unwrap_or_else(|error| panic!("{}: {error:?}", job.sql));
                    (job.done)();
                }
            });
        });
        let connections = started.recv().expect("Postgres takes connections");
        let permits = std::sync::Arc::new(Semaphore::new((connections / 2 / CONNECTIONS_PER_TEST).max(1)));
        Self { base, run, jobs, permits }
    }

    fn url(&self, database: &str) -> String {
        with_database(&self.base, database, &self.run)
    }
}

/// The same server, another database. Every connection says which run it belongs to.
fn with_database(base: &Url, database: &str, run: &str) -> String {
    let mut url = base.clone();
    url.set_path(database);
    url.query_pairs_mut().append_pair("application_name", run);
    url.into()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Drops the databases of runs that have no connection any more.
async fn drop_leftovers(client: &Client) {
    let dead = r"SELECT datname FROM pg_database WHERE datname ~ '^truegate_test_\d+_\d+_\d+$'
        AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name <> ''
            AND starts_with(datname, application_name || '_'))";
    for row in client.query(dead, &[]).await.unwrap() {
        let name: String = row.get(0);
        // Another run that starts at this moment may drop it as well.
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    }
}
