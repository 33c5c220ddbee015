//! Settings of our own.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::report::Report;
use super::settings::settings;
use super::value::{Json, Value};

settings! {
    /// Truegate's own settings, which GoTrue does not have.
    pub struct Truegate("TRUEGATE_") {
        /// Hash of new passwords: argon2id, or bcrypt for a database shared with an old GoTrue.
        password_hash: PasswordHash = "argon2id",
        /// Memory of one argon2id hash, in KiB.
        argon2_memory_kib: u32 = "19456",
        /// Rounds of one argon2id hash.
        argon2_iterations: u32 = "2",
        /// Lanes of one argon2id hash.
        argon2_lanes: u32 = "1",
        /// Passwords hashed at the same time; 0: one per core.
        hash_threads: usize = "0",
        /// Passwords that may wait for it, before sign-ins are answered 503; 0: 64 per thread.
        hash_queue: usize = "0",
        /// The API is served below this path, too, such as /auth/v1.
        path_prefix: Option<String> = "",
        /// URL for migrations and for building indexes, where the other one leads to a pooler.
        migration_database_url: Option<SecretString> = "",
        /// How long a request waits for a connection to the database before it is answered 503.
        db_wait: Duration = "2s",
        /// Requests of one kind that wait at the same time share one statement; false: each has its own.
        batch: bool = "true",
        /// Answers wait until the relay has taken the mail, and tell its refusal, as GoTrue's do.
        mail_wait: bool = "false",
        /// How often sending one mail is tried.
        mail_max_attempts: u32 = "10",
        /// Certificates (PEM) that are trusted for the relay besides the usual ones.
        smtp_ca_file: Option<PathBuf> = "",
        /// An address of Azure's is verified only if `xms_edov` says so; GoTrue believes it where that claim is missing, too.
        azure_requires_edov: bool = "false",
        /// How long after signing in a user may add an identity to the account; empty: as long as the session lives.
        linking_session_age: Option<Duration> = "",
        /// Networks of one's own that custom providers may be in, such as 10.1.0.0/16.
        private_networks: Vec<IpNet> = "",
        /// Where text messages are posted to, with `GOTRUE_SMS_PROVIDER=http`.
        sms_http_url: Option<Url> = "",
        /// Headers for that: a JSON object of arrays.
        sms_http_headers: Json<BTreeMap<String, Vec<String>>> = "",
        /// What is posted: a Go template with .Phone, .Message and .Code, each escaped as the Content-Type needs it (JSON, forms);
        /// empty: `{"phone":"+{{ .Phone }}","message":"{{ .Message }}","code":"{{ .Code }}"}`.
        sms_http_body: String = "",
        /// Swagger UI at /swagger.
        swagger_enabled: bool = "false",
    }
}

/// The default of `TRUEGATE_SMS_HTTP_BODY`.
const SMS_HTTP_BODY: &str =
    r#"{"phone":"+{{ .Phone }}","message":"{{ .Message }}","code":"{{ .Code }}"}"#;

impl Truegate {
    /// Text messages go to this address, as the settings' defaults describe them.
    pub fn post_messages_to(&mut self, url: Url) {
        self.sms_http_url = Some(url);
        self.sms_http_headers = Json::default();
        SMS_HTTP_BODY.clone_into(&mut self.sms_http_body);
    }

    pub(super) fn settle(&mut self, report: &mut Report) {
        if self.hash_threads == 0 {
            self.hash_threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        }
        if self.hash_queue == 0 {
            self.hash_queue = self.hash_threads.saturating_mul(64);
        }
        self.path_prefix = self
            .path_prefix
            .take()
            .map(|prefix| prefix.trim_end_matches('/').to_owned());
        self.path_prefix = self.path_prefix.take().filter(|prefix| !prefix.is_empty());
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if self
            .path_prefix
            .as_ref()
            .is_some_and(|p| !p.starts_with('/') || !p.chars().all(plain))
        {
            report.mistake("TRUEGATE_PATH_PREFIX", "it is not a path such as /auth/v1");
        }
        for (name, number) in [
            ("TRUEGATE_ARGON2_ITERATIONS", self.argon2_iterations),
            ("TRUEGATE_ARGON2_LANES", self.argon2_lanes),
            ("TRUEGATE_MAIL_MAX_ATTEMPTS", self.mail_max_attempts),
        ] {
            if number == 0 {
                report.mistake(name, "it is 0; make it 1 or more");
            }
        }
        if self.sms_http_body.is_empty() {
            SMS_HTTP_BODY.clone_into(&mut self.sms_http_body);
        }
        if self.sms_http_headers.is_broken() {
            let fault =
                r#"it is not a JSON object of arrays such as {"Authorization":["Bearer .."]}"#;
            report.mistake("TRUEGATE_SMS_HTTP_HEADERS", fault);
        }
        // RFC 9106 §3.1.
        let least = self.argon2_lanes.saturating_mul(8);
        if self.argon2_memory_kib < least {
            report.mistake(
                "TRUEGATE_ARGON2_MEMORY_KIB",
                format!("it is less than 8 per lane: {least}"),
            );
        }
    }
}

/// How new passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordHash {
    /// RFC 9106, with the parameters above.
    Argon2id,
    /// At cost 10, as GoTrue's.
    Bcrypt,
}

impl Value for PasswordHash {
    const FORM: &'static str = "argon2id or bcrypt";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "argon2id" => Some(Self::Argon2id),
            "bcrypt" => Some(Self::Bcrypt),
            _ => None,
        }
    }
}
