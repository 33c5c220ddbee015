//! Adding an identity to the account of somebody who is signed in.

use futures_util::future::join;
use serde_json::json;
use uuid::Uuid;

use super::{Act, unverified};
use crate::auth::external::account::Account;
use crate::auth::{EMAIL_TAKEN, check_ban, link, mailing};
use crate::error::{Code, Context, Result, bad_request, unprocessable};
use crate::models::user::User;

/// Adds the person's identity to this account. An account without an address gets the provider's, and is nobody's no
/// more once that is confirmed.
pub(super) async fn link(act: &Act<'_>, user_id: Uuid) -> Result<Account> {
    let Act {
        app,
        tx,
        person,
        now,
        ..
    } = *act;
    let claims = &person.profile.claims;
    let (owners, user) = join(
        User::find_acquainted(tx, person.provider, &claims.sub, &[]),
        User::lock(tx, user_id),
    )
    .await;
    let gone = || unprocessable(Code::UserNotFound, "Linking target user not found");
    let user = user
        .public("Database error loading user")?
        .ok_or_else(gone)?;
    let owners = owners.public("Database error finding identity for linking")?;
    check_unowned(&owners, &user)?;
    check_ban(&user, now)?;

    let had_email = !user.email().is_empty();
    let mut account = Account::with_new_identity(user, person, now);
    account.note_link(act);
    if !had_email {
        link::derive_email(app, tx, &mut account.user)
            .await
            .map_err(|error| match error.code() {
                Some(Code::EmailConflictIdentityNotDeletable) => {
                    bad_request(Code::EmailExists, EMAIL_TAKEN)
                }
                _ => error,
            })?;
        if claims.email_verified {
            account.confirm(now);
        } else if !account.user.email().is_empty() {
            act.mail_confirmation(&mut account).await?;
            account
                .user
                .app_metadata
                .clone_from(&account.before.app_metadata);
            let refusal = unprocessable(Code::EmailNotConfirmed, unverified(person.provider));
            account.refusal = Some(refusal);
            return Ok(account);
        }
        account.user.is_anonymous = false;
    }
    let user = &account.user;
    let more = json!({ "Provider": person.provider });
    mailing::notify(app, tx, &act.letters.linked, user, user.email(), more).await?;
    Ok(account)
}

/// Refuses to add an identity to this account that somebody has already.
pub(super) fn check_unowned(owners: &[User], user: &User) -> Result<()> {
    let Some(owner) = owners.first() else {
        return Ok(());
    };
    let message = if owner.id == user.id {
        "Identity is already linked"
    } else {
        "Identity is already linked to another user"
    };
    Err(unprocessable(Code::IdentityAlreadyExists, message))
}
