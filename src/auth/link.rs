//! Which identities belong to an account.

use diesel_async::AsyncConnection;
use serde_json::json;
use uuid::Uuid;

use super::bearer::Bearer;
use super::{Client, mailing, signup};
use crate::app::App;
use crate::config::MailKind;
use crate::db::Conn;
use crate::error::{
    Code, Context, Error, OnConstraint, Result, forbidden, not_found, unprocessable,
};
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::identity::{Identity, PHONE};
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;

/// Refuses everything about linking by hand where that is switched off.
pub fn check_enabled(app: &App) -> Result<()> {
    if app.config.security.manual_linking_enabled {
        return Ok(());
    }
    Err(not_found(
        Code::ManualLinkingDisabled,
        "Manual linking is disabled",
    ))
}

/// Refuses to add an identity to an account whose owner has not signed in lately, where that is asked for: whoever
/// finds a session open must not be able to come back by an identity of their own.
pub fn check_fresh(app: &App, bearer: &Bearer) -> Result<()> {
    let Some(age) = app.config.truegate.linking_session_age else {
        return Ok(());
    };
    let began = bearer.session.as_ref().map(|session| session.created_at);
    if began.is_some_and(|began| app.clock.now() <= began + age) {
        return Ok(());
    }
    Err(forbidden(
        Code::ReauthenticationNeeded,
        "Linking an identity requires a recent sign-in",
    ))
}

/// Takes one of at least two identities away from the caller's account.
pub async fn unlink(app: &App, client: &Client, bearer: &Bearer, identity_id: &str) -> Result<()> {
    let Ok(identity_id) = Uuid::try_parse(identity_id) else {
        return Err(not_found(
            Code::ValidationFailed,
            "identity_id must be an UUID",
        ));
    };
    if bearer.claims.aud.first() != Some(&client.aud) {
        return Err(forbidden(
            Code::UnexpectedAudience,
            "Token audience doesn't match request audience",
        ));
    }
    let notice = mailing::notice(app, MailKind::IdentityUnlinkedNotification).await;
    let ip = client.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let now = app.clock.now();
        let mut user = User::lock(tx, bearer.user.id)
            .await?
            .ok_or_else(signup::gone)?;
        if user.identities.len() <= 1 {
            return Err(unprocessable(
                Code::SingleIdentityNotDeletable,
                "User must have at least 1 identity after unlinking",
            ));
        }
        let before = user.clone();
        let Some(position) = user
            .identities
            .iter()
            .position(|identity| identity.id == identity_id)
        else {
            return Err(unprocessable(
                Code::IdentityNotFound,
                "Identity doesn't exist",
            ));
        };
        let identity = user.identities.remove(position);
        let traits = Some(identity.traits());
        let entry = AuditLogEntry::new(
            Actor::User(&before),
            Action::IdentityUnlinked,
            traits,
            &ip,
            now,
        );
        for entry in app.audited([entry]) {
            entry
                .insert(tx)
                .await
                .public("Error recording audit log entry")?;
        }
        identity
            .delete(tx)
            .await
            .public("Database error deleting identity")?;
        if identity.provider == PHONE {
            user.phone = None;
            user.phone_confirmed_at = None;
        } else {
            derive_email(app, tx, &mut user).await?;
        }
        user.derive_providers();
        user.save(tx, &before, now)
            .await
            .on_constraint("users_email_partial_key", email_conflict)
            .public("Database error updating user email")?;
        let more = json!({ "Email": before.email(), "Provider": identity.provider });
        mailing::notify(app, tx, &notice, &user, before.email(), more).await
    })
    .await?;
    app.mailer.wake();
    Ok(())
}

fn email_conflict() -> Error {
    unprocessable(
        Code::EmailConflictIdentityNotDeletable,
        "Unable to unlink identity due to email conflict",
    )
}

/// Keeps the user's address if an identity still vouches for it; else takes the best address that is left
/// (GoTrue's `UpdateUserEmailFromIdentities`).
pub(super) async fn derive_email(app: &App, tx: &Conn, user: &mut User) -> Result<()> {
    if user
        .identities
        .iter()
        .any(|identity| identity.email.as_deref().unwrap_or_default() == user.email())
    {
        return Ok(());
    }
    let rank = |identity: &Identity| match identity.email.as_deref() {
        None | Some("") => 2,
        Some(_) if !identity.is_email_verified() => 1,
        Some(_) => 0,
    };
    let mut candidates: Vec<&Identity> = user.identities.iter().collect();
    candidates
        .sort_by_key(|identity| (rank(identity), identity.created_at, identity.id.to_string()));
    let mut chosen = None;
    for identity in candidates {
        let email = identity.email.clone().unwrap_or_default();
        if email.is_empty() || User::find_by_email(tx, &email, &user.aud).await?.is_none() {
            chosen = Some((email, identity.is_email_verified()));
            break;
        }
    }
    let (email, verified) = chosen.ok_or_else(email_conflict)?;
    let keeps_confirmation = !email.is_empty() && (verified || app.config.mailer.autoconfirm);
    user.email = Some(email).filter(|email| !email.is_empty());
    user.clear_pending();
    OneTimeToken::clear_all(tx, user.id).await?;
    if !keeps_confirmation {
        user.email_confirmed_at = None;
        user.user_metadata
            .insert("email_verified".into(), false.into());
    }
    Ok(())
}
