//! `one_time_tokens`: the hash of each outstanding code, one per user and kind. The user's own column holds
//! the same hash: links are looked up here, typed codes there, so both are always written.

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp as SqlTimestamp, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::user::User;
use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// Sign-up, invitation, phone sign-up and phone sign-in.
    Confirmation,
    /// Nonce for a password change.
    Reauthentication,
    /// Recovery and magic link.
    Recovery,
    /// E-mail change, sent to the new address.
    EmailChangeNew,
    /// E-mail change, sent to the current address.
    EmailChangeCurrent,
    /// Phone change.
    PhoneChange,
}

impl TokenType {
    /// The label of the enum type `one_time_token_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation_token",
            Self::Reauthentication => "reauthentication_token",
            Self::Recovery => "recovery_token",
            Self::EmailChangeNew => "email_change_token_new",
            Self::EmailChangeCurrent => "email_change_token_current",
            Self::PhoneChange => "phone_change_token",
        }
    }
}

/// The one-time tokens of users.
pub struct OneTimeToken;

impl OneTimeToken {
    /// Notes a token, in place of the user's earlier one of that kind.
    pub async fn replace(
        mut conn: &Conn,
        user_id: Uuid,
        token_type: TokenType,
        relates_to: &str,
        token_hash: &str,
        now: Timestamp,
    ) -> QueryResult<()> {
        statement(
            "insert into one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at) \
             values ($1, $2, $3::text::one_time_token_type, $4, $5, $6, $6) on conflict (user_id, token_type) do update set \
             id = excluded.id, token_hash = excluded.token_hash, relates_to = excluded.relates_to, \
             created_at = excluded.created_at, updated_at = excluded.updated_at",
        )
        .bind::<SqlUuid, _>(Uuid::new_v4())
        .bind::<SqlUuid, _>(user_id)
        .bind::<Text, _>(token_type.as_str())
        .bind::<Text, _>(token_hash)
        .bind::<Text, _>(relates_to.to_lowercase())
        .bind::<SqlTimestamp, _>(now.naive_utc())
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// Voids a user's tokens, as any successful confirmation does. The code for a new phone number stays good: GoTrue
    /// looks for it in the user's column, which no other confirmation empties.
    pub async fn clear_confirmed(mut conn: &Conn, user_id: Uuid) -> QueryResult<()> {
        statement(
            "delete from one_time_tokens where user_id = $1 and token_type <> 'phone_change_token'",
        )
        .bind::<SqlUuid, _>(user_id)
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// Voids all tokens of a user.
    pub async fn clear_all(mut conn: &Conn, user_id: Uuid) -> QueryResult<()> {
        statement("delete from one_time_tokens where user_id = $1")
            .bind::<SqlUuid, _>(user_id)
            .execute(&mut conn)
            .await
            .map(drop)
    }

    /// Voids the user's token of one kind.
    pub async fn clear(conn: &mut Conn, user_id: Uuid, token_type: TokenType) -> QueryResult<()> {
        statement("delete from one_time_tokens where user_id = $1 and token_type = $2::text::one_time_token_type")
            .bind::<SqlUuid, _>(user_id)
            .bind::<Text, _>(token_type.as_str())
            .execute(conn)
            .await
            .map(drop)
    }

    /// The user whose token of one of two kinds has this hash, locked. Codes by text message are not found: nobody is
    /// sent their hash, they are short, and they prove no e-mail address.
    pub async fn lock_user(
        mut conn: &Conn,
        token_hash: &str,
        kinds: [TokenType; 2],
    ) -> QueryResult<Option<User>> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = SqlUuid)]
            user_id: Uuid,
        }
        let found: Option<Row> = statement(
            "select user_id from one_time_tokens where token_hash = $1 and token_type::text in ($2, $3) \
             and relates_to !~ '^[0-9]+$' limit 1",
        )
        .bind::<Text, _>(token_hash)
        .bind::<Text, _>(kinds[0].as_str())
        .bind::<Text, _>(kinds[1].as_str())
        .get_result(&mut conn)
        .await
        .optional()?;
        match found {
            Some(Row { user_id }) => User::lock(conn, user_id).await,
            None => Ok(None),
        }
    }
}
