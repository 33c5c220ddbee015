//! Look-ups.

use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures_util::future::join;
use uuid::Uuid;

use super::{User, select_users};
use crate::db::{Conn, statement};

impl User {
    /// By id.
    pub async fn find(mut conn: &Conn, id: Uuid) -> QueryResult<Option<Self>> {
        statement(select_users!(
            "u.id = $1 and u.instance_id = '00000000-0000-0000-0000-000000000000'"
        ))
        .bind::<SqlUuid, _>(id)
        .get_result(&mut conn)
        .await
        .optional()
    }

    /// By id, locked until the transaction ends. Two statements: the second one sees what whoever held the lock has
    /// done to identities and factors, too.
    pub async fn lock(mut conn: &Conn, id: Uuid) -> QueryResult<Option<Self>> {
        let locked = statement("select 1 from users where id = $1 for update")
            .bind::<SqlUuid, _>(id)
            .execute(&mut conn);
        let (locked, user) = join(locked, Self::find(conn, id)).await;
        locked?;
        user
    }

    /// Everybody whom a person may be who signs in at a provider: who has the identity, and who has one of the
    /// addresses, by an identity or as the account's own.
    pub async fn find_acquainted(
        mut conn: &Conn,
        provider: &str,
        provider_id: &str,
        emails: &[String],
    ) -> QueryResult<Vec<Self>> {
        statement(select_users!(
            "u.id in (select i.user_id from identities i where i.provider_id = $1 and i.provider = $2 \
             union select i.user_id from identities i where i.email = any($3) \
             union select h.id from users h where h.instance_id = '00000000-0000-0000-0000-000000000000' and lower(h.email) = any($3) \
               and h.is_sso_user = false) \
             and u.instance_id = '00000000-0000-0000-0000-000000000000' order by u.created_at, u.id"
        ))
        .bind::<Text, _>(provider_id)
        .bind::<Text, _>(provider)
        .bind::<Array<Text>, _>(emails)
        .load(&mut conn)
        .await
    }

    /// By e-mail address and audience; SSO users are invisible here.
    pub async fn find_by_email(
        mut conn: &Conn,
        email: &str,
        aud: &str,
    ) -> QueryResult<Option<Self>> {
        statement(select_users!(
            "u.instance_id = '00000000-0000-0000-0000-000000000000' and lower(u.email) = $1 and u.aud = $2 and u.is_sso_user = false limit 1"
        ))
        .bind::<Text, _>(email.to_lowercase())
        .bind::<Text, _>(aud)
        .get_result(&mut conn)
        .await
        .optional()
    }

    /// By phone number (digits without `+`) and audience; SSO users are invisible here.
    pub async fn find_by_phone(
        conn: &mut Conn,
        phone: &str,
        aud: &str,
    ) -> QueryResult<Option<Self>> {
        statement(select_users!(
            "u.instance_id = '00000000-0000-0000-0000-000000000000' and u.phone = $1 and u.aud = $2 and u.is_sso_user = false limit 1"
        ))
        .bind::<Text, _>(phone)
        .bind::<Text, _>(aud)
        .get_result(conn)
        .await
        .optional()
    }

    /// By phone number alone: no two users have the same one, whatever their audience.
    pub async fn find_by_phone_anywhere(conn: &mut Conn, phone: &str) -> QueryResult<Option<Self>> {
        statement(select_users!("u.phone = $1 limit 1"))
            .bind::<Text, _>(phone)
            .get_result(conn)
            .await
            .optional()
    }

    /// By the number that a user waits to confirm. Where several wait for the same one, the one with this code is meant,
    /// else the last who asked.
    pub async fn find_by_phone_change(
        conn: &mut Conn,
        phone: &str,
        token_hash: &str,
        aud: &str,
    ) -> QueryResult<Option<Self>> {
        // By the token: the column of `users` has no index.
        statement(select_users!(
            "",
            from "one_time_tokens t join users u on u.id = t.user_id",
            "t.relates_to = $1 and t.token_type = 'phone_change_token' and u.phone_change = $1 and u.aud = $3 \
             and u.instance_id = '00000000-0000-0000-0000-000000000000' and u.is_sso_user = false \
             order by t.token_hash = $2 desc, t.created_at desc limit 1"
        ))
        .bind::<Text, _>(phone)
        .bind::<Text, _>(token_hash)
        .bind::<Text, _>(aud)
        .get_result(conn)
        .await
        .optional()
    }

    /// By the number that a user waits to confirm, code or no code. Reads all users: only for numbers of tests, whose
    /// codes are good without one that was sent.
    pub async fn find_by_phone_change_alone(
        conn: &mut Conn,
        phone: &str,
        aud: &str,
    ) -> QueryResult<Option<Self>> {
        statement(select_users!(
            "u.instance_id = '00000000-0000-0000-0000-000000000000' and u.phone_change = $1 and u.aud = $2 and u.is_sso_user = false limit 1"
        ))
        .bind::<Text, _>(phone)
        .bind::<Text, _>(aud)
        .get_result(conn)
        .await
        .optional()
    }

    /// Who holds this address, by any identity that may be linked with it or by the account itself
    /// (GoTrue's `IsDuplicatedEmail`). An identity counts if its provider vouches for the address, or the account has the
    /// same one: what somebody else has written into theirs keeps nobody out, and lets nobody in. `except` is the account
    /// that may; `own_domains` are the providers whose accounts are never linked with others.
    pub async fn find_holder(
        conn: &mut Conn,
        email: &str,
        aud: &str,
        except: Option<Uuid>,
        own_domains: &[String],
    ) -> QueryResult<Option<Self>> {
        statement(select_users!(
            "u.id in (select i.user_id from identities i join users h on h.id = i.user_id where i.email = $1 and h.aud = $2 \
               and h.instance_id = '00000000-0000-0000-0000-000000000000' \
               and i.provider not like 'sso:%' and i.provider <> all($4) and h.id is distinct from $3 \
               and (i.identity_data @> '{\"email_verified\": true}' or i.email = lower(h.email)) \
             union all select h.id from users h where h.instance_id = '00000000-0000-0000-0000-000000000000' \
               and lower(h.email) = $1 and h.aud = $2 and h.is_sso_user = false) limit 1"
        ))
        .bind::<Text, _>(email.to_lowercase())
        .bind::<Text, _>(aud)
        .bind::<Nullable<SqlUuid>, _>(except)
        .bind::<Array<Text>, _>(own_domains)
        .get_result(conn)
        .await
        .optional()
    }

    /// Some stored hashes with the ids of their users, from the start of the table and from anywhere in it.
    pub async fn sample_passwords(conn: &mut Conn) -> QueryResult<Vec<(Uuid, String)>> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = SqlUuid)]
            id: Uuid,
            #[diesel(sql_type = Text)]
            encrypted_password: String,
        }
        let rows: Vec<Row> = statement(
            "(select id, encrypted_password from users where encrypted_password <> '' limit 100) union all \
             (select id, encrypted_password from users tablesample system (0.1) where encrypted_password <> '' limit 400)",
        )
        .load(conn)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.id, row.encrypted_password))
            .collect())
    }
}
