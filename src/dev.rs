//! `truegate dev`: the API with a Postgres, a mail inbox and keys of its own, for one person at one machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::app::App;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Environment, Log};
use crate::db::migrations::{self, Patience, SchemaState};
use crate::db::private::{self, PrivatePostgres};
use crate::error::Error;
use crate::faces::gotrue;
use crate::server::{self, Settings};
use crate::web::cors::CorsLayer;
use crate::workers;

pub mod data;
pub mod inbox;
pub mod mail;
pub mod mailbox;
pub mod ports;
pub mod screen;
pub mod smtp_sink;
pub mod swagger;

use mailbox::Mailbox;
use ports::Loopback;
use screen::{Screen, api_key};

/// Where clients of GoTrue look for it.
const API_PORT: u16 = 9999;
/// Mailpit's.
const INBOX_PORT: u16 = 8025;
/// The one database of the private Postgres; it exists from the start.
const DATABASE: &str = "postgres";

/// What `truegate dev` can be told.
#[derive(Debug, Args)]
pub struct Options {
    /// Where users, keys and database lie [without it: below $`XDG_DATA_HOME`, as root /var/lib/truegate]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// The port of the API [without it: 9999, or the next free one]
    #[arg(long)]
    pub port: Option<u16>,
}

/// Runs until `stop`; prints one screen when all is there. `start_log` is called once the settings are known.
pub async fn run(
    options: Options,
    environment: Environment,
    stop: CancellationToken,
    start_log: fn(&Log, Arc<dyn Clock>) -> Result<()>,
) -> Result<()> {
    let clock = Arc::new(SystemClock);
    let data_dir = match options.data {
        Some(dir) => dir,
        None => data::default_dir(&environment)?,
    };
    let api = match options.port {
        Some(port) => ports::exactly(port).await?,
        None => ports::at_or_after(API_PORT).await?,
    };
    let inbox = ports::at_or_after(INBOX_PORT).await?;
    let sink = TcpListener::bind("127.0.0.1:0")
        .await
        .context("listening for mail")?;

    let postgres = start_postgres(&data_dir).await?;
    let data_dir = data_dir.canonicalize()?;
    let world = World {
        secret: data::secret(&data_dir)?,
        database_url: postgres.url(DATABASE),
        api_port: api.port,
        smtp_port: sink.local_addr()?.port(),
        inbox_port: inbox.port,
    };
    let config = world.configure(environment)?;
    start_log(&config.log, clock.clone())?;
    let app = App::build(config, clock.clone())?;
    migrate(&app).await.map_err(Error::into_cause)?;
    let screen = Screen {
        api_port: api.port,
        inbox_port: inbox.port,
        anon_key: api_key(&app.keys, "anon").map_err(Error::into_cause)?,
        service_role_key: api_key(&app.keys, "service_role").map_err(Error::into_cause)?,
        data_dir,
        database_url: world.database_url,
    };
    // Whoever started us may have closed the other end; the API is there all the same.
    let _ = write!(std::io::stdout(), "{screen}");

    let mailbox = Arc::new(Mailbox::new(clock));
    // Both end with the runtime: nobody waits for a reader of the inbox.
    tokio::spawn(smtp_sink::run(sink, mailbox.clone()));
    for listener in inbox.listeners {
        tokio::spawn(server::run(
            inbox::router(mailbox.clone()),
            listener,
            std::future::pending(),
        ));
    }
    let templates = tokio::spawn(check_templates(app.clone()));
    serve(&app, api, &stop).await;
    templates.abort();
    drop(app);
    tokio::task::spawn_blocking(|| postgres.stop()).await?
}

async fn start_postgres(data_dir: &Path) -> Result<PrivatePostgres> {
    let options = private::Options::new(data_dir);
    tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await?
}

async fn migrate(app: &App) -> Result<(), Error> {
    let mut client = app.db.direct().await?;
    let namespace = &app.config.db.db_namespace;
    let report = migrations::migrate(&mut client, namespace, &Patience::default()).await?;
    if report.state != SchemaState::UpToDate {
        tracing::warn!("{}", report.state);
    }
    Ok(())
}

/// Says which of the person's own mail templates are no good, as soon as that is known: loading may take a while.
async fn check_templates(app: App) {
    // What it would log meanwhile are the same problems.
    let now = app.clock.now();
    let check = app
        .templates
        .check(now)
        .with_subscriber(NoSubscriber::new());
    for problem in check.await {
        tracing::warn!("{problem}");
    }
}

async fn serve(app: &App, api: Loopback, stop: &CancellationToken) {
    let face = gotrue::router(app.clone()).merge(swagger::router());
    let config = &app.config;
    let settings = Settings {
        cors: CorsLayer::dev(&config.cors.allowed_headers),
        ..Settings::new(config)
    };
    let service = server::stack(&settings, face);
    let workers = workers::start(app);
    let listeners = api.listeners.into_iter();
    join_all(
        listeners
            .map(|listener| server::run(service.clone(), listener, stop.clone().cancelled_owned())),
    )
    .await;
    workers.stop().await;
    app.db.close();
}

/// What only we know, and the settings need.
struct World {
    secret: String,
    database_url: String,
    api_port: u16,
    smtp_port: u16,
    inbox_port: u16,
}

impl World {
    /// The settings: the person's own, ours where there are none, and always our database, mail sink and inbox: whatever
    /// stands in a `.env` here, `dev` reaches no real users.
    fn configure(&self, mut environment: Environment) -> Result<Config> {
        let api = format!("http://localhost:{}", self.api_port);
        for (name, text) in [
            ("GOTRUE_SITE_URL", "http://localhost:3000"),
            // Any page of this machine may be returned to.
            (
                "GOTRUE_URI_ALLOW_LIST",
                "http://localhost:*,http://localhost:*/**,http://127.0.0.1:*,http://127.0.0.1:*/**",
            ),
            ("API_EXTERNAL_URL", &api),
            ("DATABASE_URL", &self.database_url),
            ("GOTRUE_JWT_SECRET", &self.secret),
            // As Supabase sets them, so that row level security finds the roles it knows.
            ("GOTRUE_JWT_AUD", "authenticated"),
            ("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
            ("GOTRUE_SMTP_ADMIN_EMAIL", "truegate@localhost.localdomain"),
            ("GOTRUE_SMTP_SENDER_NAME", "Truegate dev"),
            // Nobody is flooded here.
            ("GOTRUE_SMTP_MAX_FREQUENCY", "1s"),
            ("GOTRUE_RATE_LIMIT_EMAIL_SENT", "100000"),
            ("GOTRUE_EXTERNAL_PHONE_ENABLED", "true"),
            ("GOTRUE_SMS_MAX_FREQUENCY", "1s"),
            ("GOTRUE_RATE_LIMIT_SMS_SENT", "100000"),
            ("TRUEGATE_PATH_PREFIX", "/auth/v1"),
        ] {
            environment.set_default(name, text);
        }
        let (mut config, warnings) = Config::from_environment(&environment)?;
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        config.api.port = self.api_port;
        config.db.database_url = self.database_url.clone().into();
        config.truegate.migration_database_url = None;
        config.smtp.host = Some("127.0.0.1".into());
        config.smtp.port = self.smtp_port;
        config.smtp.user = None;
        config.smtp.pass = None;
        "http".clone_into(&mut config.sms.provider);
        let inbox = format!("http://127.0.0.1:{}/sms", self.inbox_port);
        config.truegate.post_messages_to(inbox.parse()?);
        // A hook on this machine is being tried; any other one sends real messages.
        config.hooks.send_sms.enabled &= config.hooks.send_sms.is_here();
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_production_env_file_reaches_neither_its_database_nor_its_relay() {
        let environment = Environment::from_pairs([
            ("DATABASE_URL", "postgres://db.example.com/live"),
            ("GOTRUE_SMTP_HOST", "smtp.example.com"),
            ("GOTRUE_SMTP_USER", "live"),
            ("GOTRUE_SMTP_PASS", "live"),
            ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
            ("GOTRUE_SMS_PROVIDER", "twilio"),
            ("TRUEGATE_SMS_HTTP_HEADERS", r#"{"Authorization":["live"]}"#),
            ("GOTRUE_HOOK_SEND_SMS_ENABLED", "true"),
            ("GOTRUE_HOOK_SEND_SMS_URI", "https://sms.example.com"),
        ]);
        let world = World {
            secret: "s".repeat(64),
            database_url: "postgres:///postgres?host=/run".into(),
            api_port: 1,
            smtp_port: 2,
            inbox_port: 3,
        };
        let config = world.configure(environment).unwrap();
        assert_eq!(
            config.db.database_url.expose_secret(),
            "postgres:///postgres?host=/run"
        );
        assert_eq!(
            (config.smtp.host.as_deref(), config.smtp.port),
            (Some("127.0.0.1"), 2)
        );
        assert!(config.smtp.user.is_none() && config.smtp.pass.is_none());
        assert_eq!(config.sms.provider, "http");
        let inbox = config.truegate.sms_http_url.as_ref().map(url::Url::as_str);
        assert_eq!(inbox, Some("http://127.0.0.1:3/sms"));
        assert!(config.truegate.sms_http_headers.is_empty());
        assert!(!config.hooks.send_sms.enabled);
        assert!(config.external.phone_enabled);
        assert!(config.mailer.autoconfirm, "what it may decide, it does");
        assert_eq!(config.api.external_url.as_str(), "http://localhost:1/");
        assert_eq!(config.jwt.secret.expose_secret(), world.secret);
    }
}
