//! `truegate admin createuser` and `deleteuser`, as GoTrue's command line has them: no identity, no audit entry,
//! no check of strength.

use diesel_async::AsyncConnection;
use uuid::Uuid;

use crate::app::App;
use crate::auth::address;
use crate::error::{Code, Context, Error, Result, not_found};
use crate::models::user::User;

/// What `createuser` is told.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The role, if one is named.
    pub role: Option<String>,
    /// Confirm the address at once?
    pub confirm: bool,
    /// Give the role of the admin group?
    pub admin: bool,
    /// The audience; that of the configuration if none is named.
    pub aud: Option<String>,
}

/// Makes an account.
pub async fn create_user(app: &App, new: NewUser) -> Result<User> {
    let email = address::parse_email(&new.email)?;
    if new.password.len() > 72 {
        return Err(super::invalid("bcrypt: password length exceeds 72 bytes"));
    }
    let aud = new.aud.as_ref().unwrap_or(&app.config.jwt.aud);
    let hash = app.hasher.hash(&new.password, None).await?;
    let now = app.clock.now();
    let mut user = User::new(aud, Some(email), None, now);
    user.encrypted_password = Some(hash);
    user.role = match new.role {
        Some(role) => role,
        None if new.admin => app.config.jwt.admin_group_name.clone(),
        None => String::new(),
    };
    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        let inserted = user.insert(tx).await;
        if !inserted.public("Database error creating new user")? {
            return Err(crate::auth::email_exists());
        }
        // Written apart, so that triggers on confirmation see it happen.
        let before = user.clone();
        if new.confirm || app.config.mailer.autoconfirm {
            user.confirm(now);
        }
        user.save(tx, &before, now).await?;
        Ok(user)
    })
    .await
}

/// Removes an account, named by e-mail address or id.
pub async fn delete_user(app: &App, email_or_id: &str, aud: Option<&str>) -> Result<Uuid> {
    let unknown = || {
        not_found(
            Code::UserNotFound,
            format!("No user has the e-mail address or id {email_or_id:?}"),
        )
    };
    let aud = aud.unwrap_or(&app.config.jwt.aud);
    let mut conn = app.db.get().await?;
    let id = match User::find_by_email(&conn, email_or_id, aud).await? {
        Some(user) => user.id,
        None => Uuid::try_parse(email_or_id).map_err(|_| unknown())?,
    };
    if User::delete(&mut conn, id).await? == 0 {
        return Err(unknown());
    }
    Ok(id)
}
