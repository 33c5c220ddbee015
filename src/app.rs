//! What is wired once and shared by every request and worker.

use std::ops::Deref;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::ExposeSecret;

use crate::auth::admin::totals::Totals;
use crate::auth::batches::Batches;
use crate::auth::password::at_rest;
use crate::auth::redirect::RedirectRules;
use crate::clock::Clock;
use crate::config::{Config, DbEncryption, PasswordHash, Truegate};
use crate::crypto::hasher::{self, Hasher};
use crate::crypto::keys::Keys;
use crate::crypto::password::Scheme;
use crate::crypto::sealed::Vault;
use crate::db::Pool;
use crate::outside::hooks::Hooks;
use crate::outside::oidc::Oidc;
use crate::outside::sms::Sms;
use crate::outside::templates::Templates;
use crate::outside::{Http, Manners};
use crate::web::limits::Limits;
use crate::workers::outbox::Mailer;

/// The application; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the application is made of.
pub struct Parts {
    /// Every setting.
    pub config: Config,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Connections to Postgres.
    pub db: Pool,
    /// What requests ask of Postgres together.
    pub batches: Batches,
    /// Signs and verifies tokens.
    pub keys: Keys,
    /// Encrypts what the database must not tell.
    pub vault: Vault,
    /// Hashes passwords on threads of its own.
    pub hasher: Hasher,
    /// Which redirect targets are allowed.
    pub redirects: RedirectRules,
    /// What mails are written on.
    pub templates: Templates,
    /// Delivers what acts have queued.
    pub mailer: Mailer,
    /// Sends text messages.
    pub sms: Sms,
    /// The operator's own programs.
    pub hooks: Hooks,
    /// The one outgoing HTTP client.
    pub http: Http,
    /// What OpenID Connect issuers publish.
    pub oidc: Oidc,
    /// How many users lists have, where they are many.
    pub totals: Totals,
    /// Limiters per client, and of the whole process.
    pub limits: Limits,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Wires the application as configured. Opens no connection; the error is for the operator's terminal.
    pub fn build(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let mailer = Mailer::from_config(&config).context("the mail relay")?;
        let http = Http::new(manners(&config));
        Self::assemble(config, clock, mailer, http)
    }

    /// The same with other ways into the world.
    pub fn assemble(
        config: Config,
        clock: Arc<dyn Clock>,
        mailer: Mailer,
        http: Http,
    ) -> anyhow::Result<Self> {
        let jwt = &config.jwt;
        let keys = Keys::from_config(
            jwt.secret.expose_secret(),
            jwt.key_id.as_deref().unwrap_or_default(),
            jwt.keys.as_ref().map(ExposeSecret::expose_secret),
            &jwt.valid_methods,
        )
        .map_err(anyhow::Error::msg)?;
        let redirects = RedirectRules::new(&config.site_url, &config.uri_allow_list)
            .map_err(anyhow::Error::msg)?;
        let vault = vault(&config.db_encryption)?;
        let hasher = Hasher::new(hashing(&config.truegate)?);
        at_rest::check_width(&vault, &hasher)?;
        let db = Pool::new(&config)?;
        Ok(Self(Arc::new(Parts {
            batches: Batches::new(&db, config.truegate.batch),
            db,
            hasher,
            vault,
            totals: Totals::default(),
            oidc: Oidc::new(config.external.oidc_provider_cache_ttl),
            templates: Templates::new(&config, http.clone()),
            sms: Sms::new(&config, http.clone())?,
            hooks: Hooks::new(&config.hooks)?,
            limits: Limits::new(&config, clock.now()),
            keys,
            redirects,
            mailer,
            http,
            clock,
            config,
        })))
    }
}

fn vault(config: &DbEncryption) -> anyhow::Result<Vault> {
    let keys = config.keys().map(|(id, key)| (id, key.expose_secret()));
    Vault::new(keys, config.current()).context("GOTRUE_SECURITY_DB_ENCRYPTION_*: a key is not one")
}

/// How other servers are asked.
#[must_use]
pub fn manners(config: &Config) -> Manners {
    Manners {
        timeout: config.api.http_timeout,
        private_networks: config.truegate.private_networks.clone(),
        ..Manners::default()
    }
}

fn hashing(config: &Truegate) -> anyhow::Result<hasher::Settings> {
    let scheme = match config.password_hash {
        PasswordHash::Argon2id => Scheme::Argon2id {
            memory: config.argon2_memory_kib,
            passes: config.argon2_iterations,
            lanes: config.argon2_lanes,
        },
        PasswordHash::Bcrypt => Scheme::BCRYPT,
    };
    scheme
        .check()
        .map_err(anyhow::Error::msg)
        .context("TRUEGATE_ARGON2_*")?;
    Ok(hasher::Settings {
        scheme,
        threads: config.hash_threads,
        queue: config.hash_queue,
    })
}
