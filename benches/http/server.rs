//! The servers that are measured, each a process of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::caller::Connection;
use crate::process;

/// The same for both, so that they do the same.
const ENVIRONMENT: [(&str, &str); 19] = [
    ("API_EXTERNAL_URL", "http://localhost:9999"),
    ("GOTRUE_API_HOST", "127.0.0.1"),
    ("GOTRUE_DB_DRIVER", "postgres"),
    ("GOTRUE_DB_MAX_POOL_SIZE", "20"),
    ("GOTRUE_DB_MAX_IDLE_POOL_SIZE", "20"),
    ("GOTRUE_DISABLE_SIGNUP", "false"),
    ("GOTRUE_EXTERNAL_EMAIL_ENABLED", "true"),
    ("GOTRUE_JWT_ADMIN_ROLES", "service_role"),
    ("GOTRUE_JWT_AUD", "authenticated"),
    ("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
    ("GOTRUE_JWT_EXP", "3600"),
    ("GOTRUE_JWT_ISSUER", "http://localhost:9999"),
    (
        "GOTRUE_JWT_SECRET",
        "a-secret-of-the-benches-with-more-than-32-characters",
    ),
    ("GOTRUE_LOG_LEVEL", "error"),
    ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
    ("GOTRUE_RATE_LIMIT_TOKEN_REFRESH", "100000000"),
    ("GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", "10"),
    ("GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED", "true"),
    ("GOTRUE_SITE_URL", "http://localhost:3000"),
];

/// What is run: migrates the database, then serves.
pub struct Program {
    pub path: PathBuf,
    /// Where GoTrue has its migrations.
    pub migrations: Option<String>,
}

impl Program {
    pub fn truegate() -> Self {
        Self {
            path: env!("CARGO_BIN_EXE_truegate").into(),
            migrations: None,
        }
    }

    /// The one to compare with, if the environment names it.
    pub fn gotrue() -> Option<Self> {
        Some(Self {
            path: std::env::var_os("GOTRUE")?.into(),
            migrations: std::env::var("GOTRUE_DB_MIGRATIONS_PATH").ok(),
        })
    }

    /// Mebibytes.
    pub fn size(&self) -> f64 {
        let bytes = std::fs::metadata(&self.path).unwrap().len();
        f64::from(u32::try_from(bytes >> 10).unwrap()) / 1024.0
    }
}

/// A process that serves; dropping it ends it.
pub struct Server {
    process: Child,
    pub port: u16,
    /// From starting the process to its first 200.
    pub start: Duration,
}

impl Server {
    pub async fn start(program: &Program, database: &str) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let migrations = program.migrations.as_deref();
        let begin = Instant::now();
        let process = Command::new(&program.path)
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(migrations.map(|path| ("GOTRUE_DB_MIGRATIONS_PATH", path)))
            .envs([("DATABASE_URL", database), ("PORT", &port.to_string())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            port,
            start: Duration::ZERO,
        };
        let mut connection = loop {
            match Connection::open(port).await {
                Ok(connection) => break connection,
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
            let ended = server.process.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {ended:?}", program.path.display());
        };
        connection.get("/health", "").await;
        server.start = begin.elapsed();
        server
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The memory that it has in use, in MiB.
    pub fn memory(&self) -> f64 {
        f64::from(process::memory(self.id())) / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
