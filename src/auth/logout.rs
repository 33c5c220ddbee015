//! Signing out: here, everywhere, or everywhere else.

use super::bearer::Bearer;
use crate::app::App;
use crate::error::{Context, Result};
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::session::{Scope, Session};

/// Ends sessions of the user; a token without a session ends them all.
pub async fn sign_out(app: &App, bearer: &Bearer, scope: Scope) -> Result<()> {
    let current = bearer.session.as_ref().map(|session| session.id);
    let scope = if current.is_some() {
        scope
    } else {
        Scope::Global
    };
    let logout = AuditLogEntry::new(
        Actor::User(&bearer.user),
        Action::Logout,
        None,
        "",
        app.clock.now(),
    );
    let conn = app.db.get().await?;
    Session::sign_out(
        &conn,
        bearer.user.id,
        scope,
        current,
        &app.audited([logout]),
    )
    .await
    .public("Error logging out user")
}

/// Reads a scope: `global` (the default), `local` or `others`.
pub fn parse_scope(scope: &str) -> Result<Scope> {
    match scope {
        "" | "global" => Ok(Scope::Global),
        "local" => Ok(Scope::Local),
        "others" => Ok(Scope::Others),
        other => Err(super::invalid(format!(
            "Unsupported logout scope {other:?}"
        ))),
    }
}
