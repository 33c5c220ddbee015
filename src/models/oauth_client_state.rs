//! `oauth_client_states`: what we must remember while a provider that wants a PKCE challenge from us is asked.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// How long a provider may take.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// Our side of a PKCE flow with a provider.
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct OauthClientState {
    /// Which provider it is for.
    #[diesel(sql_type = Text)]
    pub provider_type: String,
    /// Answers our challenge.
    #[diesel(sql_type = Nullable<Text>)]
    pub code_verifier: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: Timestamp,
}

impl OauthClientState {
    /// Takes the row away: a verifier is used once.
    pub async fn take(conn: &mut Conn, id: Uuid) -> QueryResult<Option<Self>> {
        statement(
            "delete from oauth_client_states where id = $1 returning provider_type, code_verifier, created_at",
        )
        .bind::<SqlUuid, _>(id)
        .get_result(conn)
        .await
        .optional()
    }

    /// Did the provider take too long?
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.created_at + LIFETIME
    }
}
