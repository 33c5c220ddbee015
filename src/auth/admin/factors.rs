//! What administrators do with second factors and passkeys of a user.

use diesel_async::AsyncConnection;
use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::auth::bearer::Admin;
use crate::auth::{Client, address, invalid};
use crate::error::{Code, Context, Error, Result, not_found};
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::factor::Factor;
use crate::models::passkey::Passkey;
use crate::models::session::Session;
use crate::models::user::User;

/// A second factor of a user, by id.
pub fn find(user: &User, factor_id: &str) -> Result<Factor> {
    let Ok(factor_id) = Uuid::try_parse(factor_id) else {
        return Err(not_found(
            Code::ValidationFailed,
            "factor_id must be an UUID",
        ));
    };
    let found = user.factors.iter().find(|factor| factor.id == factor_id);
    found
        .cloned()
        .ok_or_else(|| not_found(Code::MfaFactorNotFound, "Factor not found"))
}

/// Renames a factor, or gives a phone factor another number; "" leaves things as they are.
pub async fn update(
    app: &App,
    admin: &Admin,
    user: &User,
    mut factor: Factor,
    friendly_name: &str,
    phone: &str,
) -> Result<Factor> {
    if !friendly_name.is_empty() {
        factor.friendly_name = Some(friendly_name.to_owned());
    }
    if !phone.is_empty() && factor.factor_type == "phone" {
        factor.phone = Some(
            address::parse_phone(phone)
                .map_err(|_| invalid("Invalid phone number format (E.164 required)"))?,
        );
    }
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let now = app.clock.now();
        factor.updated_at = now;
        factor.save_names(tx).await?;
        let traits = json!({ "user_id": user.id, "factor_id": factor.id, "factor_type": factor.factor_type });
        app.audit(tx, Actor::Admin(&admin.role), Action::FactorUpdated, Some(traits), now).await?;
        Ok(factor)
    })
    .await
}

/// Removes a factor; sessions that had it fall to aal1 at once.
pub async fn delete(app: &App, client: &Client, user: &User, factor: Factor) -> Result<Factor> {
    let ip = client.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let now = app.clock.now();
        let traits = json!({ "user_id": user.id, "factor_id": factor.id });
        let entry = AuditLogEntry::new(
            Actor::User(user),
            Action::FactorDeleted,
            Some(traits),
            &ip,
            now,
        );
        for entry in app.audited([entry]) {
            entry.insert(tx).await?;
        }
        Session::downgrade(tx, user.id, &factor)
            .await
            .public("Database error downgrading sessions")?;
        factor
            .delete(tx)
            .await
            .public("Database error deleting factor")?;
        Ok(factor)
    })
    .await
}

/// The passkeys of a user.
pub async fn list_passkeys(app: &App, user: &User) -> Result<Vec<Passkey>> {
    let mut conn = app.db.get().await?;
    Ok(Passkey::of_user(&mut conn, user.id).await?)
}

/// Removes a passkey.
pub async fn delete_passkey(app: &App, user: &User, passkey_id: &str) -> Result<()> {
    let unknown = || not_found(Code::ValidationFailed, "Passkey not found");
    let passkey_id = Uuid::try_parse(passkey_id).map_err(|_| unknown())?;
    let mut conn = app.db.get().await?;
    if Passkey::delete(&mut conn, user.id, passkey_id).await? {
        return Ok(());
    }
    Err(unknown())
}
