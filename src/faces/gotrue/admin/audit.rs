//! `GET /admin/audit`.

use axum::extract::{OriginalUri, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::pages::Numbered;
use crate::app::App;
use crate::auth::audit;
use crate::error::Result;
use crate::models::audit_log_entry::AuditLogEntry;
use crate::urls::query::Pairs;
use crate::web::json::{Json, Time};

#[derive(Serialize)]
struct EntryView<'a> {
    id: Uuid,
    payload: &'a Value,
    created_at: Time,
    ip_address: &'a str,
}

impl<'a> From<&'a AuditLogEntry> for EntryView<'a> {
    fn from(entry: &'a AuditLogEntry) -> Self {
        Self {
            id: entry.id,
            payload: &entry.payload,
            created_at: Time(entry.created_at),
            ip_address: &entry.ip_address,
        }
    }
}

/// Lists the audit log.
pub async fn list(State(app): State<App>, OriginalUri(uri): OriginalUri) -> Result<Response> {
    let query = Pairs::parse_lenient(uri.query().unwrap_or_default());
    let numbered = Numbered::parse(&query)?;
    let page = audit::list(
        &app,
        query.get("query"),
        numbered.limit(),
        numbered.offset(),
    )
    .await?;
    let entries: Vec<EntryView<'_>> = page.entries.iter().map(EntryView::from).collect();
    Ok((numbered.headers(&uri, page.total), Json(entries)).into_response())
}
