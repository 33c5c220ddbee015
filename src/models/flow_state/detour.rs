//! The flow of a detour to an external provider, and what we must remember while one is asked that wants a PKCE
//! challenge from us (`oauth_client_states`).

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::is_over;
use crate::clock::Timestamp;
use crate::crypto::pkce::Challenge;
use crate::db::{Conn, statement};

/// A detour to an external provider that begins; its id is the `state` that the provider hands back.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the columns of GoTrue's flow_state table, in its words"
)]
pub struct NewDetour<'a> {
    pub id: Uuid,
    pub provider_type: &'a str,
    pub challenge: Option<Challenge<'a>>,
    /// The confirmation token of the invitation that is to be accepted.
    pub invite_token: Option<&'a str>,
    /// Where the browser goes in the end.
    pub referrer: &'a str,
    /// The user whom the identity is to be linked to.
    pub linking_target_id: Option<Uuid>,
    /// The verifier of our own challenge to the provider; it is kept if the provider wants one.
    pub code_verifier: &'a str,
}

/// What a provider wants to be remembered.
#[derive(Debug, Clone, Copy)]
pub enum Wants {
    /// What is known of a built-in one.
    These {
        /// Our own challenge (PKCE).
        challenge: bool,
        /// That users without an e-mail address may sign in.
        email_optional: bool,
    },
    /// What a custom one's row says.
    AsItsRowSays,
}

/// A detour to an external provider that comes back.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
#[expect(
    missing_docs,
    reason = "the columns of GoTrue's flow_state table, in its words"
)]
pub struct Detour {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub auth_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub code_challenge: Option<String>,
    #[diesel(sql_type = Text)]
    pub provider_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub invite_token: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub referrer: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub oauth_client_state_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub linking_target_id: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    pub email_optional: bool,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    /// Whether the user whom the identity is to be linked to is still there.
    #[diesel(sql_type = Bool)]
    pub has_linking_target: bool,
    /// What we remember of our own challenge to the provider (`oauth_client_states`), as far as it was taken.
    #[diesel(embed)]
    pub client_state: ClientState,
}

/// Our side of a PKCE flow with a provider; all is empty where there is none.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct ClientState {
    /// Which provider it is for.
    #[diesel(sql_type = Nullable<Text>)]
    pub verifier_provider: Option<String>,
    /// Answers our challenge.
    #[diesel(sql_type = Nullable<Text>)]
    pub code_verifier: Option<String>,
    /// When the challenge was made.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub verifier_made_at: Option<Timestamp>,
}

/// How long a provider that wants a challenge from us may take.
const CLIENT_STATE_LIFETIME: Duration = Duration::from_mins(5);

impl NewDetour<'_> {
    /// Notes that a browser is sent to a provider. False, and nothing is noted, where nobody holds the invitation, or no
    /// custom provider of the name is enabled.
    pub async fn insert(&self, mut conn: &Conn, wants: Wants, now: Timestamp) -> QueryResult<bool> {
        let (is_custom, challenge, email_optional) = match wants {
            Wants::These {
                challenge,
                email_optional,
            } => (false, challenge, email_optional),
            Wants::AsItsRowSays => (true, false, false),
        };
        let app_challenge = self.challenge.as_ref();
        let auth_code = app_challenge.map(|_| Uuid::new_v4().to_string());
        statement(
            "with provider as (select $4::bool as challenge, $5::bool as email_optional where not $3 \
               union all select pkce_enabled, email_optional from custom_oauth_providers where $3 and identifier = $2 and enabled), \
             departure as (select * from provider where $6::text is null or exists (select 1 from one_time_tokens t \
               join users u on u.id = t.user_id where t.token_hash = $6 and t.token_type = 'confirmation_token')), \
             verifier as (insert into oauth_client_states (id, provider_type, code_verifier, created_at) \
               select $7, $2, $8, $13 from departure where challenge returning id) \
             insert into flow_state (id, provider_type, email_optional, invite_token, oauth_client_state_id, auth_code, code_challenge, \
               code_challenge_method, referrer, linking_target_id, provider_access_token, provider_refresh_token, created_at, \
               updated_at, authentication_method) \
             select $1, $2, email_optional, $6, (select id from verifier), $9, $10, $11::text::code_challenge_method, $12, $14, '', '', \
               $13, $13, 'oauth' from departure",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Text, _>(self.provider_type)
        .bind::<Bool, _>(is_custom)
        .bind::<Bool, _>(challenge)
        .bind::<Bool, _>(email_optional)
        .bind::<Nullable<Text>, _>(self.invite_token)
        .bind::<SqlUuid, _>(Uuid::new_v4())
        .bind::<Text, _>(self.code_verifier)
        .bind::<Nullable<Text>, _>(auth_code)
        .bind::<Nullable<Text>, _>(app_challenge.map(|challenge| challenge.challenge))
        .bind::<Nullable<Text>, _>(app_challenge.map(|challenge| challenge.method.as_str()))
        .bind::<Text, _>(self.referrer)
        .bind::<Timestamptz, _>(now)
        .bind::<Nullable<SqlUuid>, _>(self.linking_target_id)
        .execute(&mut conn)
        .await
        .map(|rows| rows > 0)
    }

    /// The browser is not sent there after all.
    pub async fn undo(&self, conn: &mut Conn) -> QueryResult<()> {
        statement(
            "with flow as (delete from flow_state where id = $1 returning oauth_client_state_id) \
             delete from oauth_client_states where id = (select oauth_client_state_id from flow)",
        )
        .bind::<SqlUuid, _>(self.id)
        .execute(conn)
        .await
        .map(drop)
    }
}

impl Detour {
    /// By its `state`. With `take` our verifier is taken out as well: it is used once.
    pub async fn find(conn: &mut Conn, id: Uuid, take: bool) -> QueryResult<Option<Self>> {
        statement(
            "with taken as (delete from oauth_client_states where $2 and id = (select oauth_client_state_id from flow_state where id = $1) \
               returning provider_type as verifier_provider, code_verifier, created_at as verifier_made_at) \
             select id, user_id, auth_code, code_challenge, provider_type, invite_token, referrer, oauth_client_state_id, \
             linking_target_id, email_optional, coalesce(created_at, 'epoch') as created_at, \
             exists (select 1 from users u where u.id = f.linking_target_id) as has_linking_target, taken.* \
             from flow_state f left join taken on true where id = $1",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Bool, _>(take)
        .get_result(conn)
        .await
        .optional()
    }

    /// Does the application exchange a code in the end?
    #[must_use]
    pub fn is_pkce(&self) -> bool {
        self.code_challenge
            .as_ref()
            .is_some_and(|challenge| !challenge.is_empty())
    }

    /// Is it too late to come back?
    #[must_use]
    pub fn is_expired(&self, lifetime: Duration, now: Timestamp) -> bool {
        is_over(self.created_at, lifetime, now)
    }

    /// Locks the row until the transaction ends, and says whose it is by now; none when it has been spent.
    pub async fn lock(&self, mut conn: &Conn) -> QueryResult<Option<Option<Uuid>>> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<SqlUuid>)]
            user_id: Option<Uuid>,
        }
        let row: Option<Row> = statement("select user_id from flow_state where id = $1 for update")
            .bind::<SqlUuid, _>(self.id)
            .get_result(&mut conn)
            .await
            .optional()?;
        Ok(row.map(|row| row.user_id))
    }

    /// The detour is over: its code may be exchanged for a session of that user.
    pub async fn complete(
        &self,
        mut conn: &Conn,
        user_id: Uuid,
        access_token: &str,
        refresh_token: &str,
        now: Timestamp,
    ) -> QueryResult<()> {
        statement(
            "update flow_state set user_id = $2, provider_access_token = $3, provider_refresh_token = $4, auth_code_issued_at = $5, \
             updated_at = $5 where id = $1",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<SqlUuid, _>(user_id)
        .bind::<Text, _>(access_token)
        .bind::<Text, _>(refresh_token)
        .bind::<Timestamptz, _>(now)
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// The detour is over, and nothing remains of it.
    pub async fn delete(&self, mut conn: &Conn) -> QueryResult<()> {
        statement("delete from flow_state where id = $1")
            .bind::<SqlUuid, _>(self.id)
            .execute(&mut conn)
            .await
            .map(drop)
    }
}

impl ClientState {
    /// Did the provider take too long?
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let began = self.verifier_made_at;
        began.is_none_or(|began| is_over(began, CLIENT_STATE_LIFETIME, now))
    }
}
