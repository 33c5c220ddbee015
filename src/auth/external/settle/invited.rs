//! Accepting an invitation by signing in at a provider.

use futures_util::future::join;

use super::Act;
use super::linked::check_unowned;
use crate::auth::check_ban;
use crate::auth::external::account::Account;
use crate::auth::grant::provider_trait;
use crate::crypto::otp;
use crate::error::{Code, Context, Result, not_found};
use crate::models::audit_log_entry::Action;
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::user::User;

/// The account that was made for whoever holds this token, which now belongs to the person: the provider has to know
/// the address that was invited.
pub(super) async fn accept(act: &Act<'_>, token: &str) -> Result<Account> {
    let Act {
        app,
        tx,
        person,
        now,
        ..
    } = *act;
    let (user, owners) = join(
        OneTimeToken::lock_user(tx, token, [TokenType::Confirmation; 2]),
        User::find_acquainted(tx, person.provider, &person.profile.claims.sub, &[]),
    )
    .await;
    let user = user.public("Database error finding user")?;
    let owners = owners.public("Database error finding identity for linking")?;
    let is_open = |sent_at| !otp::is_expired(sent_at, *app.config.mailer.otp_exp, now);
    let user = user
        .filter(|user| user.confirmation_token == token)
        .filter(|user| user.confirmation_sent_at.is_some_and(is_open))
        .ok_or_else(|| not_found(Code::InviteNotFound, "Invite not found"))?;
    check_ban(&user, now)?;
    let mut emails = person.profile.emails.iter();
    if !emails.any(|email| email.email == user.email()) {
        return Err(crate::auth::invalid(
            "Invited email does not match emails from external provider",
        ));
    }
    check_unowned(&owners, &user)?;
    let mut account = Account::with_new_identity(user, person, now);
    account.user.merge_user_metadata(person.identity_data());
    account.note(act, Action::InviteAccepted, provider_trait(person.provider));
    account.forget_the_unconfirmed(true);
    account.confirm(now);
    Ok(account)
}
