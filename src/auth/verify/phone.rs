//! What a code by text message proves.

use serde_json::json;

use super::{finish, store, write_own_identity};
use crate::app::App;
use crate::auth::grant::provider_trait;
use crate::auth::mailing::{self, Notice};
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::db::Conn;
use crate::error::{Context, OnConstraint, Result};
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::identity::{Identity, PHONE};
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;

/// Confirms the phone number of a sign-up or a sign-in.
pub(super) async fn confirm(
    app: &App,
    tx: &mut Conn,
    mut user: User,
    now: Timestamp,
) -> Result<User> {
    let before = user.clone();
    let provider = provider_trait(PHONE);
    app.audit(tx, Actor::User(&user), Action::UserSignedUp, provider, now)
        .await?;
    user.confirm_phone(now);
    user.is_anonymous = false;
    finish(tx, user, &before, now)
        .await
        .public("Error confirming user")
}

/// Makes the number that a user waits for the user's own.
pub(super) async fn change(
    app: &App,
    tx: &mut Conn,
    user: User,
    notices: &PhoneNotices,
    now: Timestamp,
) -> Result<User> {
    let phone = user.phone_change.clone();
    let user = apply_phone_change(app, tx, user, &phone, notices, now).await?;
    let before = user.clone();
    store(tx, user, &before, now).await
}

/// What tells a user of a new phone number.
pub(in crate::auth) struct PhoneNotices {
    changed: Notice,
    linked: Notice,
}

impl PhoneNotices {
    pub(in crate::auth) async fn prepare(app: &App) -> Self {
        Self {
            changed: mailing::notice(app, MailKind::PhoneChangedNotification).await,
            linked: mailing::notice(app, MailKind::IdentityLinkedNotification).await,
        }
    }
}

/// Makes a phone number the user's own, confirmed.
pub(in crate::auth) async fn apply_phone_change(
    app: &App,
    tx: &mut Conn,
    mut user: User,
    phone: &str,
    notices: &PhoneNotices,
    now: Timestamp,
) -> Result<User> {
    let before = user.clone();
    app.audit(tx, Actor::User(&user), Action::UserModified, None, now)
        .await?;
    let claims = json!({ "phone": phone, "phone_verified": true });
    let new = Identity::of_phone(user.id, phone, true, now);
    write_own_identity(tx, &mut user, claims, new).await?;
    user.is_anonymous = false;
    user.phone = Some(phone.to_owned());
    user.phone_change.clear();
    user.phone_change_token.clear();
    user.phone_confirmed_at = Some(now);
    OneTimeToken::clear_all(tx, user.id).await?;
    user.save(tx, &before, now)
        .await
        .on_constraint("users_phone_key", crate::auth::phone_exists)?;
    if !before.phone().is_empty() && before.phone() != phone {
        let more = json!({ "Phone": phone, "OldPhone": before.phone() });
        mailing::notify(app, tx, &notices.changed, &user, user.email(), more).await?;
    }
    if user.identities.len() > before.identities.len() {
        let more = json!({ "Provider": PHONE });
        mailing::notify(app, tx, &notices.linked, &user, user.email(), more).await?;
    }
    Ok(user)
}
