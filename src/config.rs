//! Every setting, one struct per concern: `GOTRUE_<SECTION>_<FIELD>` is `config.<section>.<field>`, with
//! GoTrue's value syntax, names and defaults (its `conf/configuration.go`), and `TRUEGATE_<FIELD>` is
//! `config.truegate.<field>`. What is read here is effective: nobody else looks up a default.
//!
//! Not here: what a value means to the module that uses it (keys, globs, templates, the database URL).

mod api;
mod audit_log;
mod cors;
mod custom_oauth;
mod database;
mod db_encryption;
mod dotenv;
mod environment;
mod experimental;
mod external;
mod go;
mod hooks;
mod index_worker;
mod jwt;
mod later;
mod log;
mod mailer;
mod password;
mod rate_limits;
mod report;
mod security;
mod sessions;
mod settings;
mod sms;
mod smtp;
mod spelling;
mod switches;
mod top_level;
mod truegate;
mod value;

#[cfg(test)]
mod tests;

pub use api::Api;
pub use audit_log::AuditLog;
pub use cors::Cors;
pub use custom_oauth::CustomOauth;
pub use database::Database;
pub use db_encryption::DbEncryption;
pub use environment::{Environment, Sources};
pub use experimental::{DEFAULT_LINKING_DOMAIN, Experimental, LinkingDomains};
pub use external::{External, PROVIDERS, Provider};
pub use go::{BASE64, BASE64_RAW_URL, boolean, signed_duration};
pub use hooks::{Hook, HookSecrets, Hooks};
pub use index_worker::IndexWorker;
pub use jwt::Jwt;
pub use log::Log;
pub use mailer::{MailKind, Mailer};
pub use password::{Password, RequiredCharacters};
pub use rate_limits::{Rate, RateLimits};
pub use report::{ConfigErrors, Mistake, Warning};
pub use security::Security;
pub use sessions::Sessions;
pub use sms::{Sms, TestOtps};
pub use smtp::Smtp;
pub use switches::{Passkey, Saml};
pub use truegate::{PasswordHash, Truegate};
pub use value::{Json, Named, Seconds};

use report::Report;
use settings::{Definition, Section};
use top_level::TopLevel;

/// All settings.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each section says what it is")]
pub struct Config {
    /// The site that users come from.
    pub site_url: String,
    /// Redirect targets besides the site, as globs.
    pub uri_allow_list: Vec<String>,
    /// Whether the public may not sign up.
    pub disable_signup: bool,
    pub api: Api,
    pub audit_log: AuditLog,
    pub cors: Cors,
    pub custom_oauth: CustomOauth,
    pub db: Database,
    pub db_encryption: DbEncryption,
    pub experimental: Experimental,
    pub external: External,
    pub hooks: Hooks,
    pub index_worker: IndexWorker,
    pub jwt: Jwt,
    pub log: Log,
    pub mailer: Mailer,
    pub passkey: Passkey,
    pub password: Password,
    pub rate_limit: RateLimits,
    pub saml: Saml,
    pub security: Security,
    pub sessions: Sessions,
    pub sms: Sms,
    pub smtp: Smtp,
    pub truegate: Truegate,
}

impl Config {
    /// Reads and checks all settings. Whoever started the server is to see all mistakes at once, or else
    /// the warnings.
    pub fn load(sources: &Sources) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        Self::from_environment(&Environment::read(sources)?)
    }

    /// Reads and checks the settings of an environment that is already put together.
    pub fn from_environment(
        environment: &Environment,
    ) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let mut report = Report {
            warnings: environment.warnings.clone(),
            ..Report::default()
        };
        let config = Self::read(environment, &mut report);
        spelling::check(&definitions(), environment, &mut report);
        later::warn(environment, &mut report);
        for mistake in &mut report.mistakes {
            mistake.subject = environment.locate(&mistake.subject);
        }
        for warning in &mut report.warnings {
            warning.subject = environment.locate(&warning.subject);
        }
        match config {
            Some(config) if report.mistakes.is_empty() => Ok((config, report.warnings)),
            _ => Err(ConfigErrors(report.mistakes)),
        }
    }

    /// Reads the settings of these variables alone: what tests do.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigErrors> {
        Self::from_environment(&Environment::from_pairs(pairs)).map(|(config, _)| config)
    }

    /// `None` only if a declared default is wrong, which is a mistake, too.
    fn read(environment: &Environment, report: &mut Report) -> Option<Self> {
        fn section<T: Section>(environment: &Environment, report: &mut Report) -> Option<T> {
            T::definition().read(environment, report)
        }

        let top: TopLevel = section(environment, report)?;
        let mut config = Self {
            site_url: top.site_url.clone(),
            uri_allow_list: top.uri_allow_list.clone(),
            disable_signup: top.disable_signup,
            api: section(environment, report)?,
            audit_log: section(environment, report)?,
            cors: section(environment, report)?,
            custom_oauth: section(environment, report)?,
            db: section(environment, report)?,
            db_encryption: section(environment, report)?,
            experimental: section(environment, report)?,
            external: section(environment, report)?,
            hooks: Hooks {
                send_sms: hooks::send_sms().read(environment, report)?,
            },
            index_worker: section(environment, report)?,
            jwt: section(environment, report)?,
            log: section(environment, report)?,
            mailer: section(environment, report)?,
            passkey: section(environment, report)?,
            password: section(environment, report)?,
            rate_limit: section(environment, report)?,
            saml: section(environment, report)?,
            security: section(environment, report)?,
            sessions: section(environment, report)?,
            sms: section(environment, report)?,
            smtp: section(environment, report)?,
            truegate: section(environment, report)?,
        };
        for (name, section) in external::providers() {
            let provider = section.read(environment, report)?;
            config.external.providers.insert(name, provider);
        }
        config.mailer.subjects = mailer::subjects().read(environment, report)?;
        config.mailer.templates = mailer::templates().read(environment, report)?;
        config.mailer.urlpaths = mailer::urlpaths().read(environment, report)?;
        config.mailer.notifications = mailer::notifications().read(environment, report)?;

        // What one value alone does not tell.
        top.settle(report);
        config.api.settle();
        config.db.settle(report);
        config.db_encryption.settle(report);
        config.experimental.settle();
        config.external.settle();
        config.hooks.settle(report);
        config.index_worker.settle(environment);
        config.jwt.settle(report);
        config.mailer.settle(report);
        config.password.settle();
        config.security.settle(report);
        config.sessions.settle(report);
        config.sms.settle();
        config.smtp.settle(report);
        config.truegate.settle(report);
        Some(config)
    }
}

/// All sections, in the order of `.env.example`.
fn definitions() -> Vec<Definition> {
    let mut definitions = vec![
        TopLevel::definition(),
        Api::definition(),
        Database::definition(),
        Jwt::definition(),
        Smtp::definition(),
        Mailer::definition(),
        mailer::subjects(),
        mailer::templates(),
        mailer::urlpaths(),
        mailer::notifications(),
        Password::definition(),
        Sessions::definition(),
        Security::definition(),
        DbEncryption::definition(),
        RateLimits::definition(),
        External::definition(),
        CustomOauth::definition(),
        Sms::definition(),
        hooks::send_sms(),
        Cors::definition(),
        Log::definition(),
        AuditLog::definition(),
        IndexWorker::definition(),
        Experimental::definition(),
        Saml::definition(),
        Passkey::definition(),
        Truegate::definition(),
    ];
    definitions.extend(external::providers().map(|(_, section)| section));
    definitions
}

/// The text of `.env.example`: every setting with its default and an explanation.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(EXAMPLE_HEAD);
    for definition in definitions() {
        definition.example(&mut out);
    }
    out
}

const EXAMPLE_HEAD: &str = "\
# Every setting, with its default. Copy this file to .env and take the # away from what you change.
#
# true and false are also 1, t, 0 and f. Durations are numbers with units: 300ms, 90s, 1h30m. Lists are
# separated by commas, without blanks. A number, a switch or a duration that is set must not be empty.
# What the process environment sets wins over .env; what `-c FILE` sets wins over the process environment.
#
# This file is made from src/config: UPDATE_EXAMPLE=1 cargo test --lib config::tests::example
";
