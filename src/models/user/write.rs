//! Writing users: only what an act has changed.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures_util::future::join;
use serde_json::Value;
use uuid::Uuid;

use super::User;
use crate::clock::Timestamp;
use crate::db::schema::users;
use crate::db::{Conn, statement};

/// The columns of `users` that acts write. A field is written when it is `Some`.
macro_rules! changes {
    ($($field:ident: $type:ty = $column:ident,)*) => {
        #[derive(AsChangeset, Default)]
        #[diesel(table_name = users)]
        struct Changes {
            updated_at: Option<Timestamp>,
            raw_app_meta_data: Option<Value>,
            raw_user_meta_data: Option<Value>,
            $($column: Option<$type>,)*
        }

        impl User {
            /// What differs from `before`; nothing when all is as it was.
            fn changes(&self, before: &Self, now: Timestamp) -> Option<Changes> {
                let mut changes = Changes::default();
                let mut any = false;
                if self.app_metadata != before.app_metadata {
                    changes.raw_app_meta_data = Some(Value::Object(self.app_metadata.clone()));
                    any = true;
                }
                if self.user_metadata != before.user_metadata {
                    changes.raw_user_meta_data = Some(Value::Object(self.user_metadata.clone()));
                    any = true;
                }
                $(if self.$field != before.$field {
                    changes.$column = Some(self.$field.clone());
                    any = true;
                })*
                changes.updated_at = Some(now);
                any.then_some(changes)
            }
        }
    };
}

changes! {
    role: String = role,
    email: Option<String> = email,
    encrypted_password: Option<String> = encrypted_password,
    email_confirmed_at: Option<Timestamp> = email_confirmed_at,
    invited_at: Option<Timestamp> = invited_at,
    phone: Option<String> = phone,
    phone_confirmed_at: Option<Timestamp> = phone_confirmed_at,
    confirmation_token: String = confirmation_token,
    confirmation_sent_at: Option<Timestamp> = confirmation_sent_at,
    recovery_token: String = recovery_token,
    recovery_sent_at: Option<Timestamp> = recovery_sent_at,
    email_change_token_current: String = email_change_token_current,
    email_change_token_new: String = email_change_token_new,
    email_change: String = email_change,
    email_change_sent_at: Option<Timestamp> = email_change_sent_at,
    email_change_confirm_status: i16 = email_change_confirm_status,
    phone_change_token: String = phone_change_token,
    phone_change: String = phone_change,
    phone_change_sent_at: Option<Timestamp> = phone_change_sent_at,
    reauthentication_token: String = reauthentication_token,
    reauthentication_sent_at: Option<Timestamp> = reauthentication_sent_at,
    banned_until: Option<Timestamp> = banned_until,
    deleted_at: Option<Timestamp> = deleted_at,
    is_anonymous: bool = is_anonymous,
}

/// An update that is prepared once per connection. Diesel prepares each anew, which costs a round trip, because their
/// texts could be without number; acts change only so many sets of columns.
struct Kept<Q>(Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Kept<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Kept<Q> {
    type QueryId = ();
    // Kept by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, C> diesel::RunQueryDsl<C> for Kept<Q> {}

impl User {
    /// Writes the new row and reads it again in one go: triggers of the application may have altered it. False when
    /// the e-mail address is taken: then nothing is written.
    pub async fn insert(&mut self, mut conn: &Conn) -> QueryResult<bool> {
        let written = statement(
            "insert into users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, phone, phone_confirmed_at, \
             raw_app_meta_data, raw_user_meta_data, created_at, updated_at, banned_until, is_sso_user, is_anonymous, confirmation_token, \
             recovery_token, email_change_token_new, email_change_token_current, email_change, phone_change, phone_change_token, \
             reauthentication_token, email_change_confirm_status) \
             values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13, $14, \
             '', '', '', '', '', '', '', '', 0) on conflict (email) where is_sso_user = false do nothing",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Text, _>(&self.aud)
        .bind::<Text, _>(&self.role)
        .bind::<Nullable<Text>, _>(&self.email)
        .bind::<Nullable<Text>, _>(&self.encrypted_password)
        .bind::<Nullable<Timestamptz>, _>(self.email_confirmed_at)
        .bind::<Nullable<Text>, _>(&self.phone)
        .bind::<Nullable<Timestamptz>, _>(self.phone_confirmed_at)
        .bind::<Jsonb, _>(Value::Object(self.app_metadata.clone()))
        .bind::<Jsonb, _>(Value::Object(self.user_metadata.clone()))
        .bind::<Timestamptz, _>(self.created_at)
        .bind::<Nullable<Timestamptz>, _>(self.banned_until)
        .bind::<Bool, _>(self.is_sso_user)
        .bind::<Bool, _>(self.is_anonymous)
        .execute(&mut conn);
        let (written, row) = join(written, Self::find(conn, self.id)).await;
        if written? == 0 {
            return Ok(false);
        }
        *self = row?.ok_or(diesel::NotFound)?;
        Ok(true)
    }

    /// Writes what differs from `before`, the row as it was locked.
    pub async fn save(
        &mut self,
        mut conn: &Conn,
        before: &Self,
        now: Timestamp,
    ) -> QueryResult<()> {
        if let Some(changes) = self.changes(before, now) {
            self.updated_at = now;
            let update = diesel::update(users::table.find(self.id)).set(changes);
            Kept(update).execute(&mut conn).await?;
        }
        Ok(())
    }

    /// Reads the row again, with generated columns and what triggers did.
    pub async fn reload(&mut self, conn: &Conn) -> QueryResult<()> {
        *self = Self::find(conn, self.id).await?.ok_or(diesel::NotFound)?;
        Ok(())
    }

    /// Removes the account and, by cascade, all that hangs on it.
    pub async fn delete(conn: &mut Conn, id: Uuid) -> QueryResult<usize> {
        statement("delete from users where id = $1")
            .bind::<SqlUuid, _>(id)
            .execute(conn)
            .await
    }

    /// Removes second factors and passkeys.
    pub async fn delete_factors(mut conn: &Conn, id: Uuid) -> QueryResult<()> {
        statement(
            "with factors as (delete from mfa_factors where user_id = $1) delete from webauthn_credentials where user_id = $1",
        )
        .bind::<SqlUuid, _>(id)
        .execute(&mut conn)
        .await
        .map(drop)
    }
}
