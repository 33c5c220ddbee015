//! Writing and reading the audit log.

use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Context, Result};
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::user::User;

impl App {
    /// Logs each entry, and gives back those that belong into the database: all, or none where that is switched off.
    #[must_use]
    pub fn audited<const N: usize>(&self, entries: [AuditLogEntry; N]) -> Vec<AuditLogEntry> {
        entries.iter().for_each(log);
        if self.config.audit_log.disable_postgres {
            Vec::new()
        } else {
            entries.into()
        }
    }

    /// Logs what a user did and a statement of many has written into the database.
    pub fn log_audit(
        &self,
        user: &User,
        actions: impl Iterator<Item = (Uuid, Action)>,
        now: Timestamp,
    ) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        for (id, action) in actions {
            let entry = AuditLogEntry::new(Actor::User(user), action, None, "", now);
            log(&AuditLogEntry { id, ..entry });
        }
    }

    /// Notes an action in the act's own transaction.
    pub async fn audit(
        &self,
        conn: &Conn,
        actor: Actor<'_>,
        action: Action,
        traits: Option<Value>,
        now: Timestamp,
    ) -> Result<()> {
        for entry in self.audited([AuditLogEntry::new(actor, action, traits, "", now)]) {
            entry.insert(conn).await?;
        }
        Ok(())
    }
}

fn log(entry: &AuditLogEntry) {
    tracing::info!(auth_audit_event = %entry.payload, audit_log_id = %entry.id, ip_address = entry.ip_address, "audit_event");
}

/// A page of the log.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<AuditLogEntry>,
    /// How many match in all.
    pub total: i64,
}

/// Lists the log. `query` is `author:x`, `action:x` or `type:x`, or "" for all.
pub async fn list(app: &App, query: &str, limit: i64, offset: i64) -> Result<Page> {
    let invalid = || super::invalid(format!("Invalid query scope: {query}"));
    let (fields, text): (&[&str], &str) = match query.split_once(':') {
        None if query.is_empty() => (&[], ""),
        Some(("author", text)) => (&["actor_username", "actor_name"], text),
        Some(("action", text)) => (&["action"], text),
        Some(("type", text)) => (&["log_type"], text),
        _ => return Err(invalid()),
    };
    let mut conn = app.db.get().await?;
    let (entries, total) = AuditLogEntry::list(&mut conn, fields, text, limit, offset)
        .await
        .public("Error searching for audit logs")?;
    Ok(Page { entries, total })
}
