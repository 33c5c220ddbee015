//! The database and its pool.

use std::time::Duration;

use secrecy::SecretString;

use super::report::Report;
use super::settings::settings;

settings! {
    /// The database and its pool.
    pub struct Database("GOTRUE_DB_") {
        /// Only postgres.
        driver: String = "postgres",
        /// URL of the database.
        database_url("GOTRUE_DB_DATABASE_URL", "DATABASE_URL"): SecretString => "postgres://auth:password@localhost:5432/app",
        /// Schema of GoTrue's tables.
        db_namespace("GOTRUE_DB_DB_NAMESPACE", "DB_NAMESPACE"): String = "auth",
        /// Most connections at once; 0: a number that suits the machine.
        max_pool_size: u32 = "0",
        /// Most connections at once as a percentage of what the database allows; 0: `MAX_POOL_SIZE` counts.
        conn_percentage: u32 = "0",
        /// Most connections that are kept while nothing is to do; 0: as many as are allowed at once.
        max_idle_pool_size: u32 = "0",
        /// A connection is replaced when it is this old; 0: never.
        conn_max_lifetime: Duration = "0",
        /// A connection is closed when it was idle for so long; 0: never.
        conn_max_idle_time: Duration = "0",
        /// How often idle connections are looked after; 0: a fitting interval.
        health_check_period: Duration = "0",
        /// Old rows (expired sessions, used tokens, ..) are deleted, a few at a time.
        cleanup_enabled: bool = "false",
    }
}

impl Database {
    pub(super) fn settle(&mut self, report: &mut Report) {
        // GoTrue derives an empty driver from the URL.
        if !matches!(self.driver.as_str(), "" | "postgres" | "postgresql") {
            report.mistake(
                "GOTRUE_DB_DRIVER",
                format!("{:?} is not served; it is postgres", self.driver),
            );
        }
        if self.db_namespace.is_empty() {
            report.mistake(
                "DB_NAMESPACE",
                "it is set, but empty; remove it, or make it the name of a schema",
            );
        }
        self.conn_percentage = self.conn_percentage.min(100);
    }
}
