//! Whether the audit log is kept.

use super::settings::settings;

settings! {
    /// The audit log.
    pub struct AuditLog("GOTRUE_AUDIT_LOG_") {
        /// No rows are written to `audit_log_entries`.
        disable_postgres: bool = "false",
    }
}
