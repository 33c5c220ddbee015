//! The server as `main` wires it, in process: with a database and a clock of its own, its mails in memory,
//! and cheap hashes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http_body_util::BodyExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use tracing_subscriber::EnvFilter;
use truegate::app::App;
use truegate::clock::Clock as _;
use truegate::config::Config;
use truegate::faces::gotrue;
use truegate::outside::{Http, Manners};
use truegate::server::{self, Settings};
use truegate::workers::outbox::Mailer;

use super::clock::TestClock;
use super::database::Database;
use super::outbox::Outbox;
use super::reply::Reply;
use super::token::Recipe;

/// What every test starts from. Hashes cost next to nothing, and nobody has to wait for a second mail.
const SETTINGS: [(&str, &str); 10] = [
    ("API_EXTERNAL_URL", "https://auth.example.com"),
    ("GOTRUE_SITE_URL", "https://app.example.com"),
    ("GOTRUE_URI_ALLOW_LIST", "https://app.example.com/**"),
    (
        "GOTRUE_JWT_SECRET",
        "a-secret-of-the-tests-with-more-than-32-characters",
    ),
    ("GOTRUE_JWT_AUD", "authenticated"),
    ("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
    ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
    ("GOTRUE_SMTP_ADMIN_EMAIL", "noreply@example.com"),
    ("GOTRUE_SMTP_MAX_FREQUENCY", "1ns"),
    ("GOTRUE_RATE_LIMIT_EMAIL_SENT", "1000000"),
];

/// Connections of the server's pool.
const POOL: u32 = 4;

/// How long whoever is asked may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The password of [`TestApp::user`]s.
pub const PASSWORD: &str = "correct-horse-1";

type Service = BoxCloneSyncService<Request, Response, Infallible>;

/// A running server. Its parts (`config`, `db`, ..) are those of its [`App`].
pub struct TestApp {
    pub clock: Arc<TestClock>,
    pub outbox: Outbox,
    server: Server,
    database: Option<Database>,
}

/// What answers requests.
#[derive(Clone)]
struct Server {
    app: App,
    service: Service,
    /// Beside the pool, so that looking for mails costs the server nothing.
    rows: Arc<Client>,
}

impl TestApp {
    /// With the settings above.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::reaching(http(&HashMap::new()), change).await
    }

    /// With other settings, in another world.
    pub async fn reaching(http: Http, change: impl FnOnce(&mut Config)) -> Self {
        let database = Database::new().await;
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config = config(settings.into(), &database.url).unwrap();
        change(&mut config);
        let started = Self::start(config, &database, http).await;
        let mut started = started.unwrap();
        started.database = Some(database);
        started
    }

    /// With the environment of a server, on a database that is already there. The error is about the settings.
    ///
    /// The pool has one connection: a request that takes a second one waits for itself, and fails.
    pub async fn on(
        database: &Database,
        environment: HashMap<String, String>,
    ) -> Result<Self, String> {
        let http = http(&environment);
        let mut config = config(environment, &database.url)?;
        config.db.max_pool_size = 1;
        Self::start(config, database, http).await
    }

    /// The one place that knows how a server is wired.
    async fn start(config: Config, database: &Database, http: Http) -> Result<Self, String> {
        // What went wrong inside stands beside a test that fails; RUST_LOG tells more.
        let logs = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
        logs.with_test_writer().try_init().ok();
        let clock = Arc::new(TestClock::new());
        let outbox = Outbox::default();
        let settings = Settings::new(&config);
        let app = Mailer::in_memory(&config, Arc::new(outbox.clone()))
            .and_then(|mailer| App::assemble(config, clock.clone(), mailer, http))
            .map_err(|error| format!("{error:#}"))?;
        let service = server::stack(&settings, gotrue::router(app.clone()));
        let service = BoxCloneSyncService::new(service);
        let rows = Arc::new(database.connect().await);
        let server = Server { app, service, rows };
        Ok(Self {
            clock,
            outbox,
            server,
            database: None,
        })
    }

    /// The database of this app.
    pub fn database(&self) -> &Database {
        self.database
            .as_ref()
            .expect("the app made its own database")
    }

    /// A number that the database knows.
    pub async fn count(&self, sql: &str) -> i64 {
        let rows = self.database().connect().await;
        rows.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Sends a request as it stands, and delivers the mails it caused before the answer is returned.
    pub async fn send(&self, request: http::Request<Body>) -> Reply {
        self.server.call(request).await
    }

    /// Somebody without a token.
    pub fn visitor(&self) -> Caller {
        Caller::new(self, String::new())
    }

    /// Somebody with this token.
    pub fn bearer(&self, access_token: impl Into<String>) -> Caller {
        Caller::new(self, access_token.into())
    }

    /// The operator's own program.
    pub fn admin(&self) -> Caller {
        self.bearer(self.token(json!({"role": "service_role", "exp": "<unix:now+3600>"})))
    }

    /// A token with these claims, signed with the server's secret; `"<unix:now+60>"` is a time.
    pub fn token(&self, claims: Value) -> String {
        let secret = secrecy::ExposeSecret::expose_secret(&self.config.jwt.secret);
        Recipe::hs256(secret, claims).sign(&Value::Null, self.clock.now())
    }

    /// A confirmed user with [`PASSWORD`], just signed in.
    pub async fn user(&self, email: &str) -> Caller {
        let user = json!({"email": email, "password": PASSWORD, "email_confirm": true});
        self.admin().post("/admin/users", user).await.ok();
        let credentials = json!({"email": email, "password": PASSWORD});
        let grant = self
            .visitor()
            .post("/token?grant_type=password", credentials)
            .await
            .ok();
        self.granted(&grant)
    }

    /// Who was granted this answer of /token, /signup or /verify.
    pub fn granted(&self, grant: &Value) -> Caller {
        let text = |pointer| {
            grant
                .pointer(pointer)
                .and_then(Value::as_str)
                .expect("a grant")
                .to_owned()
        };
        let mut caller = self.bearer(text("/access_token"));
        caller.refresh_token = text("/refresh_token");
        caller.id = text("/user/id");
        caller
    }
}

impl Deref for TestApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.server.app
    }
}

fn config(mut environment: HashMap<String, String>, database: &str) -> Result<Config, String> {
    environment.insert("DATABASE_URL".into(), database.into());
    environment.insert("TRUEGATE_ARGON2_MEMORY_KIB".into(), "8".into());
    environment
        .entry("GOTRUE_SMTP_HOST".into())
        .or_insert_with(|| "127.0.0.1".into());
    let mut config = Config::from_pairs(environment).map_err(|error| error.to_string())?;
    config.db.max_pool_size = POOL;
    // Machines are slow at times, and no test is about these limits.
    config.truegate.db_wait = PATIENCE;
    config.api.max_request_duration = 2 * PATIENCE;
    // The whole suite holds with and without.
    config.truegate.batch = super::variable("TEST_BATCH").as_deref() != Some("false");
    Ok(config)
}

/// `SSL_CERT_FILE` is read for the whole process; a server in it trusts its own.
fn http(environment: &HashMap<String, String>) -> Http {
    let authorities = environment.get("SSL_CERT_FILE").map(|path| {
        let authorities = CertificateDer::pem_file_iter(path).unwrap();
        authorities.map(Result::unwrap).collect()
    });
    Http::new(Manners {
        timeout: PATIENCE,
        authorities: authorities.unwrap_or_default(),
        ..Manners::default()
    })
}

impl Server {
    async fn call(&self, mut request: http::Request<Body>) -> Reply {
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let Ok(response) = self.service.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a complete body").to_bytes();
        self.deliver().await;
        Reply {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// What the worker does in production; here it is done when the answer is there.
    async fn deliver(&self) {
        let queued = "SELECT EXISTS (SELECT FROM truegate.outbox)";
        if self.rows.query_one(queued, &[]).await.unwrap().get(0) {
            self.app.mailer.deliver_due(&self.app).await.unwrap();
        }
    }
}

/// Who calls.
#[derive(Clone)]
pub struct Caller {
    pub access_token: String,
    /// Empty for callers that did not sign in.
    pub refresh_token: String,
    /// The user's id; empty for callers that did not sign in.
    pub id: String,
    server: Server,
}

impl Caller {
    fn new(app: &TestApp, access_token: String) -> Self {
        let (refresh_token, id) = (String::new(), String::new());
        let server = app.server.clone();
        Self {
            access_token,
            refresh_token,
            id,
            server,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call("PUT", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:9999");
        if !self.access_token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.access_token));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        // Large, and races hold several.
        Box::pin(self.server.call(request.body(body).unwrap())).await
    }
}

#[cfg(test)]
mod tests {
    use truegate::error::Code;

    use super::*;

    #[tokio::test]
    async fn a_caller_is_who_it_says() {
        let app = TestApp::new().await;
        let alice = app.user("alice@example.com").await;
        let changed = alice
            .put("/user", json!({"data": {"name": "Alice"}}))
            .await
            .ok();
        assert_eq!(changed["id"], alice.id.as_str());
        app.visitor()
            .get("/user")
            .await
            .refused(401, Code::NoAuthorization);
        app.admin()
            .delete(&format!("/admin/users/{}", alice.id))
            .await
            .ok();
        let gone = alice.get("/user").await;
        gone.refused(403, Code::UserNotFound);
        assert_eq!(gone.header("x-sb-error-code"), Some("user_not_found"));
    }
}
