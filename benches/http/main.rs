//! What clients feel: requests over TCP against the whole server and a Postgres of its own, both on this machine.
//!
//! The driver takes its share of the cores, so the figures compare one state of the code with another, not
//! this server with one elsewhere. Passwords are hashed as in production; nothing waits for the disk.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected has to fail"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio_postgres::NoTls;
use truegate::app::App;
use truegate::clock::SystemClock;
use truegate::config::Config;
use truegate::db::migrations::{self, Patience};
use truegate::db::private::{InUse, Options, PrivatePostgres};
use truegate::faces::gotrue;
use truegate::outside::Http;
use truegate::server::{self, Settings};

/// Clients at work at the same time, each with one connection that it keeps.
const CLIENTS: usize = 8;
/// Before they are measured, acts run unmeasured for a tenth as many requests.
const WARM_UP: usize = 10;
const PASSWORD: &str = "correct-horse-1";

/// What a client does, and how often all of them together: hashing makes a request some twenty times slower.
/// The first one gives the others their users.
const ACTS: [(Act, &str, usize); 4] = [
    (Act::Signup, "signup", 400),
    (Act::Login, "login", 400),
    (Act::User, "user", 8000),
    (Act::Refresh, "refresh", 4000),
];

#[derive(Clone, Copy)]
enum Act {
    Signup,
    Login,
    User,
    Refresh,
}

fn main() {
    let postgres = postgres();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&postgres));
    // The server's connections end before their Postgres does.
    drop(runtime);
}

async fn measure(postgres: &PrivatePostgres) {
    let base = start(&new_database(postgres).await).await;
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| Client::new(number, &base))
        .collect();
    println!(
        "{:<8} {:>8} {:>10} {:>9} {:>9}",
        "", "requests", "requests/s", "p50 ms", "p99 ms"
    );
    for (act, name, requests) in ACTS {
        let each = requests / CLIENTS;
        (clients, _) = drive(clients, act, each.div_ceil(WARM_UP)).await;
        let begin = Instant::now();
        let times;
        (clients, times) = drive(clients, act, each).await;
        let rate = per_second(times.len(), begin.elapsed());
        let [median, slow] = [50, 99].map(|percent| milliseconds(quantile(&times, percent)));
        println!(
            "{name:<8} {:>8} {rate:>10.0} {median:>9.2} {slow:>9.2}",
            times.len()
        );
    }
}

/// Every client does it so many times. How long the requests took comes back in order, shortest first.
async fn drive(clients: Vec<Client>, act: Act, times: usize) -> (Vec<Client>, Vec<Duration>) {
    let tasks = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut took = Vec::with_capacity(times);
            for _ in 0..times {
                let begin = Instant::now();
                client.act(act).await;
                took.push(begin.elapsed());
            }
            (client, took)
        })
    });
    let (clients, took): (Vec<_>, Vec<_>) = try_join_all(tasks).await.unwrap().into_iter().unzip();
    let mut took = took.concat();
    took.sort_unstable();
    (clients, took)
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / time.as_secs_f64()
}

/// Somebody with a connection, and since signing up with a user and a session.
struct Client {
    number: usize,
    signups: usize,
    http: reqwest::Client,
    base: String,
    email: String,
    access_token: String,
    refresh_token: String,
}

impl Client {
    fn new(number: usize, base: &str) -> Self {
        Self {
            number,
            signups: 0,
            http: Http::default().client().unwrap().clone(),
            base: base.to_owned(),
            email: String::new(),
            access_token: String::new(),
            refresh_token: String::new(),
        }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Signup => {
                self.signups += 1;
                self.email = format!("user-{}-{}@example.com", self.number, self.signups);
                self.take_session("/signup", self.credentials()).await;
            }
            Act::Login => {
                self.take_session("/token?grant_type=password", self.credentials())
                    .await;
            }
            Act::User => {
                let request = self.http.get(format!("{}/user", self.base));
                let user = answer(request.bearer_auth(&self.access_token)).await;
                assert_eq!(user["email"], self.email.as_str());
            }
            Act::Refresh => {
                let token = json!({ "refresh_token": self.refresh_token });
                self.take_session("/token?grant_type=refresh_token", token)
                    .await;
            }
        }
    }

    fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": PASSWORD })
    }

    async fn take_session(&mut self, path: &str, body: Value) {
        let request = self.http.post(format!("{}{path}", self.base)).json(&body);
        let session = answer(request).await;
        let text = |name: &str| session[name].as_str().expect("a session").to_owned();
        self.access_token = text("access_token");
        self.refresh_token = text("refresh_token");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let (status, body) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Starts the server as `truegate serve` wires it; it ends with its runtime. Its address comes back.
async fn start(database: &str) -> String {
    let config = Config::from_pairs([
        ("DATABASE_URL", database),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-benches-with-more-than-32-characters",
        ),
        ("GOTRUE_JWT_AUD", "authenticated"),
        ("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
        ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
        ("GOTRUE_DB_MAX_POOL_SIZE", "10"),
        ("GOTRUE_DB_MAX_IDLE_POOL_SIZE", "10"),
    ])
    .unwrap();
    let settings = Settings::new(&config);
    let app = App::build(config, Arc::new(SystemClock)).unwrap();
    let listener = server::listen("127.0.0.1", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = server::stack(&settings, gotrue::router(app));
    tokio::spawn(server::run(service, listener, std::future::pending()));
    format!("http://{address}")
}

/// A migrated database without rows; its URL.
async fn new_database(postgres: &PrivatePostgres) -> String {
    let admin = connect(&postgres.url("postgres")).await;
    for sql in [
        "DROP DATABASE IF EXISTS bench WITH (FORCE)",
        "CREATE DATABASE bench",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    let url = postgres.url("bench");
    let mut client = connect(&url).await;
    migrations::migrate(&mut client, "auth", &Patience::default())
        .await
        .unwrap();
    url
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Under the target directory, used again by the next run; another one where another run has it.
fn postgres() -> PrivatePostgres {
    let mut folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-postgres");
    for more in 2.. {
        let options = Options {
            durable: false,
            ..Options::new(&folder)
        };
        match PrivatePostgres::start(&options) {
            Ok(started) => return started,
            Err(error) if error.is::<InUse>() => {
                folder.set_file_name(format!("bench-postgres-{more}"));
            }
            Err(error) => panic!("{error:#}"),
        }
    }
    unreachable!("there are always more numbers")
}
