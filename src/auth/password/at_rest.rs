//! Hashes as the database holds them: sealed where encryption at rest is on. As in GoTrue, the hash of a sign-up stays
//! plain until the first sign-in, because a new account's row is written before anybody proved to own it.

use std::borrow::Cow;
use std::net::IpAddr;

use uuid::Uuid;

use crate::app::App;
use crate::crypto::hasher::Hasher;
use crate::crypto::sealed::Vault;
use crate::error::Result;
use crate::models::user::User;

/// The hash of a user's password, opened. `None`: the user has none.
pub fn open<'a>(app: &App, user: &'a User) -> Result<Option<Cow<'a, str>>> {
    let opened = user
        .password()
        .map(|stored| app.vault.open(user.id, stored));
    Ok(opened.transpose().map_err(anyhow::Error::from)?)
}

/// What to write for a new hash of a user who is there.
#[must_use]
pub fn seal(app: &App, user_id: Uuid, hash: &str) -> String {
    app.vault.seal(user_id, hash)
}

/// What takes the place of the `stored` text, whose `hash` the password was just right for: a better hash, or the same
/// one under the key of today. None where both are as they should be.
pub(super) async fn renew(
    app: &App,
    user_id: Uuid,
    password: &str,
    stored: &str,
    hash: &str,
    ip: Option<IpAddr>,
) -> Option<String> {
    if let Some(better) = app.hasher.rehash(password, hash, ip).await {
        return Some(seal(app, user_id, &better));
    }
    // An imported hash may be too long for that, and waits for a better one.
    let resealed = app.vault.renew(user_id, stored)?;
    (resealed.len() <= User::PASSWORD_WIDTH).then_some(resealed)
}

/// A sealed hash has to fit into its column: better not to start than to sign nobody in.
pub fn check_width(vault: &Vault, hasher: &Hasher) -> anyhow::Result<()> {
    let sealed = vault.seal(Uuid::nil(), &hasher.unusable_hash());
    let excess = sealed.len().saturating_sub(User::PASSWORD_WIDTH);
    anyhow::ensure!(
        excess == 0,
        "GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPTION_KEY_ID is {excess} characters too long: a hash that is encrypted under \
         this name does not fit into users.encrypted_password. Shorten it, or set TRUEGATE_PASSWORD_HASH=bcrypt"
    );
    Ok(())
}
