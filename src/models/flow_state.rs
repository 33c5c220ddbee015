//! `flow_state`: one row per flow that began with a mail (PKCE) or leads to an external provider.

use std::time::Duration;

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::amr_claim::Method;
use crate::clock::Timestamp;
use crate::crypto::pkce::Challenge;
use crate::db::{Conn, statement};

mod detour;

pub use detour::{Detour, NewDetour, Wants};

/// A flow waiting for its code to be exchanged.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
#[expect(
    missing_docs,
    reason = "the columns of GoTrue's flow_state table, in its words"
)]
pub struct FlowState {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub auth_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub code_challenge: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub code_challenge_method: Option<String>,
    #[diesel(sql_type = Text)]
    pub provider_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub provider_access_token: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub provider_refresh_token: Option<String>,
    #[diesel(sql_type = Text)]
    pub authentication_method: String,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub auth_code_issued_at: Option<Timestamp>,
}

impl FlowState {
    /// Notes that a mail is under way whose link leads back to this challenge.
    pub async fn begin(
        mut conn: &Conn,
        user_id: Uuid,
        provider_type: &str,
        method: Method,
        challenge: &Challenge<'_>,
        now: Timestamp,
    ) -> QueryResult<()> {
        statement(
            "insert into flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type, provider_access_token, \
             provider_refresh_token, created_at, updated_at, authentication_method) \
             values ($1, $2, $3, $4::text::code_challenge_method, $5, $6, '', '', $7, $7, $8)",
        )
        .bind::<SqlUuid, _>(Uuid::new_v4())
        .bind::<SqlUuid, _>(user_id)
        .bind::<Text, _>(Uuid::new_v4().to_string())
        .bind::<Text, _>(challenge.method.as_str())
        .bind::<Text, _>(challenge.challenge)
        .bind::<Text, _>(provider_type)
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(method.as_str())
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// The flow that gave out this code.
    pub async fn find_by_code(conn: &mut Conn, auth_code: &str) -> QueryResult<Option<Self>> {
        statement(
            "select id, user_id, auth_code, code_challenge, code_challenge_method::text as code_challenge_method, provider_type, \
             provider_access_token, provider_refresh_token, authentication_method, coalesce(created_at, 'epoch') as created_at, \
             auth_code_issued_at from flow_state where auth_code = $1 limit 1",
        )
        .bind::<Text, _>(auth_code)
        .get_result(conn)
        .await
        .optional()
    }

    /// Gives out the code of the user's newest flow of that method; none when there is no such flow.
    pub async fn issue_code(
        conn: &mut Conn,
        user_id: Uuid,
        method: Method,
        now: Timestamp,
    ) -> QueryResult<Option<Self>> {
        statement(
            "update flow_state set auth_code_issued_at = $3, updated_at = $3 where id = (select f.id from flow_state f \
             where f.user_id = $1 and f.authentication_method = $2 order by f.created_at desc, f.id desc limit 1) \
             returning id, user_id, auth_code, code_challenge, code_challenge_method::text as code_challenge_method, provider_type, \
             provider_access_token, provider_refresh_token, authentication_method, coalesce(created_at, 'epoch') as created_at, \
             auth_code_issued_at",
        )
        .bind::<SqlUuid, _>(user_id)
        .bind::<Text, _>(method.as_str())
        .bind::<Timestamptz, _>(now)
        .get_result(conn)
        .await
        .optional()
    }

    /// Spends the flow. False when another request has spent it already.
    pub async fn delete(&self, conn: &mut Conn) -> QueryResult<bool> {
        statement("delete from flow_state where id = $1")
            .bind::<SqlUuid, _>(self.id)
            .execute(conn)
            .await
            .map(|rows| rows > 0)
    }

    /// Is it too late to exchange the code? Magic links count from the click, all others from the request.
    #[must_use]
    pub fn is_expired(&self, lifetime: Duration, now: Timestamp) -> bool {
        let since = match self.auth_code_issued_at {
            Some(issued) if self.authentication_method == Method::MagicLink.as_str() => issued,
            _ => self.created_at,
        };
        is_over(since, lifetime, now)
    }
}

fn is_over(since: Timestamp, lifetime: Duration, now: Timestamp) -> bool {
    now > since + TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX)
}
