//! Refresh tokens: rows of `refresh_tokens` (version 1), or a counter on the session (version 2).
//!
//! A refresh reads everything in one statement, decides, and writes in one statement that is guarded by what
//! was read: when another request was quicker, nothing is written and the caller reads again.

use std::borrow::Cow;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Bool, Json, Nullable, Text, Timestamp as SqlTimestamp, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use uuid::Uuid;

use super::audit_log_entry::AuditLogEntry;
use super::session::{Session, Written, audit_json, session_json};
use super::user::{User, from_json, select_users};
use crate::clock::{self, Timestamp};
use crate::db::{Conn, statement};

mod exchange;

pub use exchange::{Exchange, Exchanged, Stored};

/// A refresh token of version 1.
#[derive(Debug, Clone, Deserialize, FromSqlRow)]
pub struct RefreshToken {
    /// Its row; children have higher ids than their parents.
    pub id: i64,
    /// The token itself.
    pub token: String,
    /// Already exchanged, or its family was revoked.
    #[serde(default)]
    pub revoked: bool,
    /// When it was last written: when it was revoked, if it is.
    #[serde(deserialize_with = "clock::deserialize")]
    pub updated_at: Timestamp,
    /// The token it was exchanged for.
    pub parent: Option<String>,
}

impl FromSql<Json, Pg> for RefreshToken {
    fn from_sql(column: PgValue<'_>) -> deserialize::Result<Self> {
        from_json(&column)
    }
}

/// Whose token it is, and what stands about it.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Presented {
    /// Its user.
    #[diesel(embed)]
    pub user: User,
    /// Its session; none for tokens older than sessions.
    #[diesel(sql_type = Nullable<Json>)]
    pub session: Option<Session>,
    /// The row of a version 1 token.
    #[diesel(sql_type = Nullable<Json>)]
    pub token: Option<RefreshToken>,
    /// The newest version 1 token of the session that is not revoked.
    #[diesel(sql_type = Nullable<Json>)]
    pub active: Option<RefreshToken>,
}

/// What a refresh notes on its session.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The client's address.
    pub ip: Option<std::net::IpAddr>,
    /// When.
    pub at: Timestamp,
}

impl RefreshToken {
    /// Reads a version 1 token with its user, its session and the session's active token.
    pub async fn find(conn: &mut Conn, token: &str) -> QueryResult<Option<Presented>> {
        statement(select_users!(
            concat!(
                ", ",
                session_json!("s.id = (select r.session_id from refresh_tokens r where r.token = $1)"),
                " as session, (select json_build_array(r.id, r.token, r.revoked, r.updated_at, r.parent) from refresh_tokens r \
                 where r.token = $1) as token, (select json_build_array(r.id, r.token, r.revoked, r.updated_at, r.parent) \
                 from refresh_tokens r where r.session_id = (select o.session_id from refresh_tokens o where o.token = $1) \
                 and r.revoked is false order by r.id desc limit 1) as active"
            ),
            "u.id = (select r.user_id::uuid from refresh_tokens r where r.token = $1) \
             and u.instance_id = '00000000-0000-0000-0000-000000000000'"
        ))
        .bind::<Text, _>(token)
        .get_result(conn)
        .await
        .optional()
    }

    /// Reads the session that a version 2 token names, with its user.
    pub async fn find_session(conn: &mut Conn, session_id: Uuid) -> QueryResult<Option<Presented>> {
        statement(select_users!(
            concat!(", ", session_json!("s.id = $1"), " as session, null::json as token, null::json as active"),
            "u.id = (select o.user_id from sessions o where o.id = $1) and u.instance_id = '00000000-0000-0000-0000-000000000000'"
        ))
        .bind::<SqlUuid, _>(session_id)
        .get_result(conn)
        .await
        .optional()
    }

    /// Removes a token that is older than sessions and can never be refreshed.
    pub async fn delete(&self, conn: &mut Conn) -> QueryResult<()> {
        statement("delete from refresh_tokens where id = $1")
            .bind::<BigInt, _>(self.id)
            .execute(conn)
            .await
            .map(drop)
    }
}

/// What an allowed refresh writes.
#[derive(Debug, Default)]
pub struct Rotation<'a> {
    /// Version 1: revoke `token` and give it this child.
    pub child: Option<&'a str>,
    /// The child is only a witness: the client gets a version 2 token instead.
    pub child_revoked: bool,
    /// Version 2: where the session's counter goes.
    pub counter: Option<i64>,
    /// Version 2: the session's HMAC key, when it gets one or is to be sealed anew.
    pub hmac_key: Option<Cow<'a, str>>,
    /// The entries of the audit log that go with it.
    pub audit: Vec<AuditLogEntry>,
}

impl Presented {
    /// Writes an allowed refresh. False when the rows are locked, or are no longer what was read: then nothing
    /// is written.
    pub async fn rotate(
        &self,
        conn: &mut Conn,
        session: &Session,
        rotation: &Rotation<'_>,
        visit: Visit<'_>,
    ) -> QueryResult<bool> {
        let Written { count } = statement(
            "with s as (select id from sessions where id = $1 and refresh_token_counter is not distinct from $2 \
               for update skip locked), \
             t as (select r.id, r.token, r.session_id, r.user_id from refresh_tokens r, s \
               where r.id = $3 and r.revoked = $4 and r.updated_at = $5 for update of r skip locked), \
             ok as (select s.id from s where $3::bigint is null or exists (select from t)), \
             o as (update refresh_tokens r set revoked = true, updated_at = $6 from t, ok where r.id = t.id and $7::text is not null), \
             n as (insert into refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id) \
               select '00000000-0000-0000-0000-000000000000', $7, t.user_id, $8, $6, $6, t.token, t.session_id from t, ok \
               where $7::text is not null), \
             u as (update sessions set refreshed_at = $9, updated_at = $6, user_agent = $10, ip = $11::text::inet, \
               refresh_token_counter = coalesce($12, refresh_token_counter), \
               refresh_token_hmac_key = coalesce($13, refresh_token_hmac_key) from ok where sessions.id = ok.id), \
             l as (insert into audit_log_entries (instance_id, id, payload, created_at, ip_address) \
               select '00000000-0000-0000-0000-000000000000', (e->>'id')::uuid, e->'payload', (e->>'at')::timestamptz, e->>'ip' \
               from ok, json_array_elements($14) e) \
             select count(*) from ok",
        )
        .bind::<SqlUuid, _>(session.id)
        .bind::<Nullable<BigInt>, _>(session.refresh_token_counter)
        .bind::<Nullable<BigInt>, _>(self.token.as_ref().map(|token| token.id))
        .bind::<Nullable<Bool>, _>(self.token.as_ref().map(|token| token.revoked))
        .bind::<Nullable<Timestamptz>, _>(self.token.as_ref().map(|token| token.updated_at))
        .bind::<Timestamptz, _>(visit.at)
        .bind::<Nullable<Text>, _>(rotation.child)
        .bind::<Bool, _>(rotation.child_revoked)
        .bind::<SqlTimestamp, _>(visit.at.naive_utc())
        .bind::<Nullable<Text>, _>(visit.user_agent)
        .bind::<Nullable<Text>, _>(visit.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<BigInt>, _>(rotation.counter)
        .bind::<Nullable<Text>, _>(rotation.hmac_key.as_deref())
        .bind::<Json, _>(audit_json(&rotation.audit))
        .get_result(conn)
        .await?;
        Ok(count > 0)
    }

    /// A token was seen again that must not be: revokes the version 1 family, or ends the session of a version 2
    /// token. False when the rows are locked, or are no longer what was read: then nothing is written.
    pub async fn burn(
        &self,
        conn: &mut Conn,
        session: &Session,
        now: Timestamp,
    ) -> QueryResult<bool> {
        let Written { count } = statement(
            "with s as (select id from sessions where id = $1 and refresh_token_counter is not distinct from $2 \
               for update skip locked), \
             d as (delete from sessions using s where sessions.id = s.id and $3), \
             r as (update refresh_tokens set revoked = true, updated_at = $4 from s \
               where refresh_tokens.session_id = s.id and revoked = false and not $3) \
             select count(*) from s",
        )
        .bind::<SqlUuid, _>(session.id)
        .bind::<Nullable<BigInt>, _>(session.refresh_token_counter)
        .bind::<Bool, _>(self.token.is_none())
        .bind::<Timestamptz, _>(now)
        .get_result(conn)
        .await?;
        Ok(count > 0)
    }
}
