//! A database for each test, on the Postgres of `TEST_DATABASE_URL`, or else on a private one.
//!
//! One thread with one connection makes and drops them: a test's own runtime is gone when its database is to be
//! dropped. A database carries the name of its run, and a run is alive as long as its connection is; what dead
//! runs left behind is dropped at the start.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_postgres::{Client, NoTls};
use truegate::db::migrations::{self, Patience};
use truegate::db::private::{InUse, Options, PrivatePostgres};
use url::Url;

use super::variable;

/// Connections that one test may hold: its pool, and what it looks at rows with.
const CONNECTIONS_PER_TEST: u16 = 10;
/// Connections of the private Postgres: more tests than cores run at once only where cores are many.
const PRIVATE_CONNECTIONS: u16 = 250;

/// Few tables have rows, and few rows they are: much faster than TRUNCATE, which makes a new file for each table
/// and index. Without foreign keys the order does not count.
const CLEAR: &str = "
    SET session_replication_role = replica;
    DO $$
    DECLARE one regclass;
    BEGIN
        FOR one IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
            WHERE schemaname IN ('auth', 'truegate') AND tablename NOT LIKE '%migrations'
        LOOP
            EXECUTE format('DELETE FROM %s', one);
        END LOOP;
    END $$";

/// A database of one's own; dropped with this value.
pub struct Database {
    name: String,
    /// For the superuser.
    pub url: String,
    /// How many tests may have a database at once is a question of Postgres' connections.
    _permit: OwnedSemaphorePermit,
}

impl Database {
    /// A migrated database without rows.
    pub async fn new() -> Self {
        Self::copy(&POSTGRES.template).await
    }

    /// A database with nothing in it.
    pub async fn empty() -> Self {
        Self::copy("template1").await
    }

    async fn copy(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let permit = Arc::clone(&POSTGRES.permits).acquire_owned().await.unwrap();
        let name = format!("{}_{}", POSTGRES.run, COUNT.fetch_add(1, Ordering::Relaxed));
        let (done, made) = oneshot::channel();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY");
        let done = |made| done.send(made).unwrap_or_default();
        POSTGRES
            .jobs
            .send(Job {
                sql,
                done: Box::new(done),
            })
            .unwrap();
        let made = made.await.expect("the thread lives");
        made.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        Self {
            url: POSTGRES.url(&name),
            name,
            _permit: permit,
        }
    }

    /// The Postgres that all databases are on.
    pub fn server() -> String {
        POSTGRES.base.to_string()
    }

    /// Empties the tables of the server, but for the ledgers of its migrations.
    pub async fn clear(&self) {
        execute(&self.connect().await, CLEAR).await;
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
        let job = Job {
            sql,
            // What could not be dropped is dropped by a later run.
            done: Box::new(move |_| done.send(()).unwrap_or_default()),
        };
        // Waits, so that the last test's database is dropped before the process ends.
        if POSTGRES.jobs.send(job).is_ok() {
            dropped.recv().ok();
        }
    }
}

/// A statement for the thread, and what to do afterwards.
struct Job {
    sql: String,
    done: Box<dyn FnOnce(Result<(), tokio_postgres::Error>) + Send>,
}

struct Postgres {
    base: Url,
    run: String,
    template: String,
    jobs: mpsc::UnboundedSender<Job>,
    permits: Arc<Semaphore>,
    /// Ends with this process.
    _private: Option<PrivatePostgres>,
}

static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

impl Postgres {
    fn start() -> Self {
        let (base, private) = if let Some(url) = variable("TEST_DATABASE_URL") {
            (url, None)
        } else {
            let private = private();
            (private.url("postgres"), Some(private))
        };
        let base = Url::parse(&base).unwrap();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let run = format!("truegate_test_{}_{since}", std::process::id());
        let template = format!("truegate_template_{}", migrations::fingerprint());
        let (jobs, queue) = mpsc::unbounded_channel::<Job>();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = work(base.clone(), run.clone(), template.clone(), queue, ready);
        std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(thread);
        });
        let connections = started.recv().expect("Postgres takes connections");
        let tests = (connections / CONNECTIONS_PER_TEST)
            .saturating_sub(1)
            .max(1);
        let permits = Arc::new(Semaphore::new(tests.into()));
        Self {
            base,
            run,
            template,
            jobs,
            permits,
            _private: private,
        }
    }

    fn url(&self, database: &str) -> String {
        with_database(&self.base, database, &self.run)
    }
}

/// What the thread does: tidies up, makes the template, says how many connections there are, then takes jobs.
async fn work(
    base: Url,
    run: String,
    template: String,
    mut queue: mpsc::UnboundedReceiver<Job>,
    ready: std::sync::mpsc::Sender<u16>,
) {
    let client = connect(&with_database(&base, "postgres", &run)).await;
    drop_leftovers(&client).await;
    make_template(&client, &base, &run, &template).await;
    let limit = client.query_one("SHOW max_connections", &[]).await.unwrap();
    ready
        .send(limit.get::<_, String>(0).parse().unwrap())
        .unwrap();
    while let Some(job) = queue.recv().await {
        (job.done)(client.batch_execute(&job.sql).await);
    }
}

/// Under the target directory, or where that is root's own and Postgres' account cannot enter it, in the folder for
/// temporary files.
fn private() -> PrivatePostgres {
    start_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .or_else(|_| start_in(&std::env::temp_dir().join("truegate-tests")))
        .unwrap_or_else(|error| panic!("{error:#}\nOr set TEST_DATABASE_URL to a Postgres."))
}

/// The data are used again by the next run; a run that finds another one there takes the next folder.
fn start_in(folder: &Path) -> anyhow::Result<PrivatePostgres> {
    let mut last = folder.join("postgres");
    let mut more = 2;
    loop {
        let options = Options {
            durable: false,
            max_connections: PRIVATE_CONNECTIONS,
            ..Options::new(&last)
        };
        match PrivatePostgres::start(&options) {
            Err(error) if error.is::<InUse>() => last = folder.join(format!("postgres-{more}")),
            other => return other,
        }
        more += 1;
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

async fn execute(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Drops the databases of runs that have no connection any more.
async fn drop_leftovers(client: &Client) {
    let dead = r"SELECT datname FROM pg_database WHERE datname ~ '^truegate_test_\d+_\d+_\w+$'
        AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name <> ''
            AND starts_with(datname, application_name || '_'))";
    for row in client.query(dead, &[]).await.unwrap() {
        // Another run that starts at this moment may drop it as well.
        execute(
            client,
            &format!(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                row.get::<_, &str>(0)
            ),
        )
        .await;
    }
}

/// Migrates a database once for all runs with these migrations. It gets its name when it is complete.
async fn make_template(client: &Client, base: &Url, run: &str, template: &str) {
    execute(
        client,
        "SELECT pg_advisory_lock(hashtext('truegate_template'))",
    )
    .await;
    let there = client
        .query_opt("SELECT FROM pg_database WHERE datname = $1", &[&template])
        .await
        .unwrap();
    if there.is_none() {
        let new = format!("{run}_new");
        execute(client, &format!("CREATE DATABASE {new}")).await;
        let mut inside = connect(&with_database(base, &new, run)).await;
        migrations::migrate(&mut inside, "auth", &Patience::default())
            .await
            .unwrap();
        drop(inside);
        execute(
            client,
            &format!("ALTER DATABASE {new} RENAME TO {template}"),
        )
        .await;
    }
    execute(
        client,
        "SELECT pg_advisory_unlock(hashtext('truegate_template'))",
    )
    .await;
}
