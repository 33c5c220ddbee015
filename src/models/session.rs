//! `sessions`: one sign-in on one device. Deleting a row deletes its refresh tokens.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Json, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use std::time::Duration;
use uuid::Uuid;

use super::amr_claim::{AmrClaim, Method};
use super::audit_log_entry::AuditLogEntry;
use super::factor::Factor;
use super::user::from_json;
use crate::clock::{self, Timestamp};
use crate::db::{Conn, statement};

mod bearer;

pub use bearer::{Bearer, Named};

/// A session as a JSON column, by a condition on `s`.
macro_rules! session_json {
    ($condition:literal) => {
        concat!(
            "(select json_build_array(s.id, s.user_id, s.created_at, s.aal, s.not_after, s.refreshed_at at time zone 'UTC', s.tag, \
             s.oauth_client_id, s.refresh_token_hmac_key, s.refresh_token_counter, s.scopes, (select coalesce(json_agg(json_build_array(\
             a.authentication_method, a.updated_at) order by a.updated_at desc, a.authentication_method), '[]') \
             from mfa_amr_claims a where a.session_id = s.id)) from sessions s where ",
            $condition,
            ")"
        )
    };
}
pub(super) use session_json;

/// How sure we are of who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aal {
    /// One factor.
    One,
    /// Two factors.
    Two,
}

impl Aal {
    /// The level's name in tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "aal1",
            Self::Two => "aal2",
        }
    }
}

/// A sign-in.
#[derive(Debug, Clone, Deserialize, FromSqlRow)]
#[expect(
    missing_docs,
    reason = "the columns of GoTrue's sessions table, in its words"
)]
pub struct Session {
    pub id: Uuid,
    pub user_id: Uuid,
    #[serde(deserialize_with = "clock::deserialize")]
    pub created_at: Timestamp,
    pub aal: Option<String>,
    #[serde(deserialize_with = "clock::deserialize_option")]
    pub not_after: Option<Timestamp>,
    #[serde(deserialize_with = "clock::deserialize_option")]
    pub refreshed_at: Option<Timestamp>,
    pub tag: Option<String>,
    pub oauth_client_id: Option<Uuid>,
    pub refresh_token_hmac_key: Option<String>,
    pub refresh_token_counter: Option<i64>,
    pub scopes: Option<String>,
    /// How it was authenticated, newest first.
    #[serde(default)]
    pub amr: Vec<AmrClaim>,
}

impl FromSql<Json, Pg> for Session {
    fn from_sql(column: PgValue<'_>) -> deserialize::Result<Self> {
        from_json(&column)
    }
}

/// Why a session may not be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Past `not_after` or the timebox.
    Ended,
    /// Not refreshed for too long.
    Inactive,
    /// Still aal1 although its user has a second factor.
    LowAal,
}

/// How long sessions may live; `None` switches a rule off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lifetime {
    /// Since the sign-in.
    pub timebox: Option<Duration>,
    /// Since the last refresh.
    pub inactivity_timeout: Option<Duration>,
    /// At aal1, for users who can reach aal2.
    pub allow_low_aal: Option<Duration>,
}

impl Session {
    /// The level the session has reached by the methods it was authenticated with (the token's `aal`).
    #[must_use]
    pub fn reached(&self) -> Aal {
        if self.amr.iter().any(AmrClaim::is_second_factor) {
            Aal::Two
        } else {
            Aal::One
        }
    }

    /// Is the session's own column at aal2? This is what PUT /user looks at.
    #[must_use]
    pub fn is_aal2(&self) -> bool {
        self.aal.as_deref() == Some(Aal::Two.as_str())
    }

    /// Did the session begin with a mail rather than a password?
    #[must_use]
    pub fn is_recovery(&self) -> bool {
        self.amr.iter().any(AmrClaim::is_recovery)
    }

    /// When it was last refreshed; `token_time` is the last write of its v1 refresh token, which stands in
    /// where the session itself does not know.
    #[must_use]
    pub fn last_refreshed_at(&self, token_time: Option<Timestamp>) -> Timestamp {
        self.refreshed_at
            .unwrap_or_else(|| token_time.map_or(self.created_at, |time| time.max(self.created_at)))
    }

    /// Why the session may not go on at `now`, if so. `user_has_mfa`: its user can reach aal2.
    #[must_use]
    pub fn expired(
        &self,
        lifetime: &Lifetime,
        user_has_mfa: bool,
        token_time: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Expired> {
        let passed = |since: Timestamp, limit: Option<Duration>| {
            limit.is_some_and(|limit| now > since + limit)
        };
        if self.not_after.is_some_and(|end| now > end) || passed(self.created_at, lifetime.timebox)
        {
            return Some(Expired::Ended);
        }
        if passed(
            self.last_refreshed_at(token_time),
            lifetime.inactivity_timeout,
        ) {
            return Some(Expired::Inactive);
        }
        if user_has_mfa && !self.is_aal2() && passed(self.created_at, lifetime.allow_low_aal) {
            return Some(Expired::LowAal);
        }
        None
    }

    /// The tag that counts for "one session per user": its own if it is listed, else the first of the list.
    #[must_use]
    pub fn effective_tag<'a>(&'a self, tags: &'a [String]) -> &'a str {
        let own = self
            .tag
            .as_deref()
            .filter(|tag| tags.iter().any(|known| known == tag));
        own.or(tags.first().map(String::as_str)).unwrap_or_default()
    }
}

impl Session {
    /// All sessions of a user.
    pub async fn of_user(conn: &mut Conn, user_id: Uuid) -> QueryResult<Vec<Self>> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Json>)]
            session: Option<Session>,
        }
        let rows: Vec<Row> = statement(concat!(
            "select ",
            session_json!("s.id = o.id"),
            " as session from sessions o where o.user_id = $1"
        ))
        .bind::<SqlUuid, _>(user_id)
        .load(conn)
        .await?;
        Ok(rows.into_iter().filter_map(|row| row.session).collect())
    }
}

/// What a sign-in writes.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The session's id.
    pub id: Uuid,
    /// Whose.
    pub user_id: Uuid,
    /// How the user proved who it is.
    pub method: Method,
    /// The v1 refresh token, if the session uses one.
    pub refresh_token: Option<&'a str>,
    /// The HMAC key of v2 refresh tokens, if the session uses them.
    pub hmac_key: Option<&'a str>,
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The client's address.
    pub ip: Option<std::net::IpAddr>,
    /// The entries of the audit log that go with it.
    pub audit: Vec<AuditLogEntry>,
    /// The password, where one was checked.
    pub password: Option<Checked<'a>>,
}

/// A password that was right.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The hash that it was checked against: the sign-in counts only while it is still the user's.
    pub hash: &'a str,
    /// A hash of the same password that takes its place.
    pub anew: Option<&'a str>,
}

#[derive(QueryableByName)]
pub(super) struct Written {
    #[diesel(sql_type = BigInt)]
    pub(super) count: i64,
}

impl NewSession<'_> {
    /// Writes session, method, refresh token, audit entries, `last_sign_in_at` and the new hash in one statement. False
    /// when the user has gone, was banned, or has another password by now: then nothing is written.
    ///
    /// A sign-in that keeps the hash does not touch its column: triggers `OF encrypted_password` would think of a new
    /// password.
    pub async fn insert(self, mut conn: &Conn, now: Timestamp) -> QueryResult<bool> {
        let Written { count } = statement(
            "with u as (select id from users where id = $1 and (banned_until is null or banned_until <= $2) \
               and ($3::text is null or encrypted_password = $3) for update), \
             s as (insert into sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, refresh_token_hmac_key, \
               refresh_token_counter) select $4, u.id, $2, $2, 'aal1', $5, $6::text::inet, $7, \
               case when $7::text is null then null else 0 end from u returning id), \
             c as (insert into mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method) \
               select $8, s.id, $2, $2, $9 from s), \
             t as (insert into refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id) \
               select '00000000-0000-0000-0000-000000000000', $10, $1::text, false, $2, $2, null, s.id from s where $10::text is not null), \
             l as (insert into audit_log_entries (instance_id, id, payload, created_at, ip_address) \
               select '00000000-0000-0000-0000-000000000000', (e->>'id')::uuid, e->'payload', (e->>'at')::timestamptz, e->>'ip' \
               from s, json_array_elements($11) e), \
             d as (update users set last_sign_in_at = $2, updated_at = $2 from u where users.id = u.id and $12::text is null), \
             h as (update users set last_sign_in_at = $2, updated_at = $2, encrypted_password = $12 from u \
               where users.id = u.id and $12::text is not null) \
             select count(*) from s",
        )
        .bind::<SqlUuid, _>(self.user_id)
        .bind::<Timestamptz, _>(now)
        .bind::<Nullable<Text>, _>(self.password.map(|checked| checked.hash))
        .bind::<SqlUuid, _>(self.id)
        .bind::<Nullable<Text>, _>(self.user_agent)
        .bind::<Nullable<Text>, _>(self.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(self.hmac_key)
        .bind::<SqlUuid, _>(Uuid::new_v4())
        .bind::<Text, _>(self.method.as_str())
        .bind::<Nullable<Text>, _>(self.refresh_token)
        .bind::<Json, _>(audit_json(&self.audit))
        .bind::<Nullable<Text>, _>(self.password.and_then(|checked| checked.anew))
        .get_result(&mut conn)
        .await?;
        Ok(count > 0)
    }
}

/// Entries as a JSON array, for statements that write several rows at once.
pub(super) fn audit_json(entries: &[AuditLogEntry]) -> serde_json::Value {
    let json = |entry: &AuditLogEntry| serde_json::json!({ "id": entry.id, "at": entry.created_at, "payload": entry.payload, "ip": entry.ip_address });
    entries.iter().map(json).collect()
}

/// Which sessions a sign-out ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of the user's.
    Global,
    /// This one.
    Local,
    /// All but this one.
    Others,
}

impl Session {
    /// Ends sessions of a user, and writes the audit entries, in one statement. `current` is the session that
    /// `Local` and `Others` speak of.
    pub async fn sign_out(
        mut conn: &Conn,
        user_id: Uuid,
        scope: Scope,
        current: Option<Uuid>,
        audit: &[AuditLogEntry],
    ) -> QueryResult<()> {
        let (only, except) = match scope {
            Scope::Global => (None, None),
            Scope::Local => (current, None),
            Scope::Others => (None, current),
        };
        statement(
            "with l as (insert into audit_log_entries (instance_id, id, payload, created_at, ip_address) \
               select '00000000-0000-0000-0000-000000000000', (e->>'id')::uuid, e->'payload', (e->>'at')::timestamptz, e->>'ip' \
               from json_array_elements($4) e) \
             delete from sessions where user_id = $1 and ($2::uuid is null or id = $2) and ($3::uuid is null or id <> $3)",
        )
        .bind::<SqlUuid, _>(user_id)
        .bind::<Nullable<SqlUuid>, _>(only)
        .bind::<Nullable<SqlUuid>, _>(except)
        .bind::<Json, _>(audit_json(audit))
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// Takes a second factor away from the sessions that had it.
    pub async fn downgrade(conn: &mut Conn, user_id: Uuid, factor: &Factor) -> QueryResult<()> {
        statement(
            "with s as (update sessions set aal = 'aal1', factor_id = null where user_id = $1 and factor_id = $2 returning id) \
             delete from mfa_amr_claims c using s where c.session_id = s.id and c.authentication_method = $3",
        )
        .bind::<SqlUuid, _>(user_id)
        .bind::<SqlUuid, _>(factor.id)
        .bind::<Text, _>(factor.method())
        .execute(conn)
        .await
        .map(drop)
    }
}
