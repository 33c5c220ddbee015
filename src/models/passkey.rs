//! `webauthn_credentials`: passkeys, as administrators see them.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// A passkey without its keys.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Passkey {
    /// Its id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The name it goes by.
    #[diesel(sql_type = Text)]
    pub friendly_name: String,
    /// When it was registered.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    /// When somebody last signed in with it.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_used_at: Option<Timestamp>,
}

impl Passkey {
    /// The passkeys of a user, oldest first.
    pub async fn of_user(conn: &mut Conn, user_id: Uuid) -> QueryResult<Vec<Self>> {
        statement(
            "select id, friendly_name, created_at, last_used_at from webauthn_credentials where user_id = $1 \
             order by created_at, id",
        )
        .bind::<SqlUuid, _>(user_id)
        .load(conn)
        .await
    }

    /// Removes a passkey of a user. False when the user has none with this id.
    pub async fn delete(conn: &mut Conn, user_id: Uuid, id: Uuid) -> QueryResult<bool> {
        statement("delete from webauthn_credentials where user_id = $1 and id = $2")
            .bind::<SqlUuid, _>(user_id)
            .bind::<SqlUuid, _>(id)
            .execute(conn)
            .await
            .map(|rows| rows > 0)
    }
}
