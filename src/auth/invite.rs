//! Inviting somebody by mail.

use diesel_async::AsyncConnection;
use serde_json::{Map, Value, json};

use super::bearer::Admin;
use super::mailing::{self, Purpose};
use super::signup::{self, Contact};
use super::{Client, address};
use crate::app::App;
use crate::error::{Context, Error, Result};
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::identity::Identity;
use crate::models::user::User;

/// Makes an account without a password and sends its owner a link; an unconfirmed account is sent another.
pub async fn invite(
    app: &App,
    client: &Client,
    admin: &Admin,
    email: &str,
    data: Map<String, Value>,
) -> Result<User> {
    let email = address::parse_email(email)?;
    let existing = {
        let conn = app.db.get().await?;
        User::find_by_email(&conn, &email, &client.aud)
            .await
            .public("Database error finding user")?
    };
    if existing.as_ref().is_some_and(User::is_confirmed) {
        return Err(super::email_exists());
    }
    let stationery = mailing::prepare(app, Purpose::Invite, &email).await?;

    let mut conn = app.db.get().await?;
    let invited = conn
        .transaction::<_, Error, _>(async |tx| {
            let now = app.clock.now();
            let mut user = match &existing {
                Some(existing) => User::lock(tx, existing.id)
                    .await?
                    .ok_or_else(signup::gone)?,
                None => {
                    let mut user = Contact::Email(email.clone()).new_user(app, client, data, now);
                    user.encrypted_password = Some(String::new());
                    if !user
                        .insert(tx)
                        .await
                        .public("Database error saving new user")?
                    {
                        return Err(super::email_exists());
                    }
                    let identity = Identity::of_email(user.id, &email, false, now);
                    identity
                        .insert(tx)
                        .await
                        .public("Error creating identity")?;
                    user.identities = vec![identity];
                    user
                }
            };
            if user.is_confirmed() {
                return Err(super::email_exists());
            }
            let before = user.clone();
            let traits = json!({ "user_id": user.id, "user_email": user.email() });
            app.audit(
                tx,
                Actor::Admin(&admin.role),
                Action::UserInvited,
                Some(traits),
                now,
            )
            .await?;
            mailing::send_code(
                app,
                tx,
                client,
                &stationery,
                Purpose::Invite,
                &mut user,
                false,
            )
            .await?;
            user.invited_at = Some(now);
            user.save(tx, &before, now)
                .await
                .public("Error inviting user")?;
            Ok(user)
        })
        .await?;
    drop(conn);
    stationery
        .post(app)
        .await
        .public("Error sending invite email")?;
    Ok(invited)
}
