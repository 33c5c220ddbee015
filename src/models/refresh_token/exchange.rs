//! The exchange of refresh tokens that nothing speaks against: looked up, judged, rotated, noted in the log and
//! answered in one statement, many at once. What the statement does not take, it does not touch: that is decided
//! by [`crate::auth::refresh`], which says why.
//!
//! Rows that another request holds are not waited for, so that no statement stands in another's way.

use std::net::IpAddr;

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Json, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::refresh_token::SignedToken;
use crate::db::{Conn, in_order, statement};
use crate::models::session::{Session, session_json};
use crate::models::user::{User, select_users};

/// A token to be exchanged, if nothing speaks against it.
#[derive(Debug)]
pub struct Exchange<Token> {
    /// The token that was presented.
    pub token: Token,
    /// When.
    pub at: Timestamp,
    /// Sessions that began before this are over.
    pub began_after: Option<Timestamp>,
    /// Sessions that were refreshed last before this are over.
    pub refreshed_after: Option<Timestamp>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The ids of the audit log's entries: of `token_refreshed`, and for version 1 of `token_revoked`.
    pub audit: Option<[Uuid; 2]>,
}

/// A version 1 token.
#[derive(Debug)]
pub struct Stored {
    /// The token.
    pub token: String,
    /// What it is exchanged for.
    pub child: String,
}

/// Whose token was exchanged, and the session as it was before.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Exchanged {
    #[diesel(sql_type = BigInt)]
    n: i64,
    /// The user.
    #[diesel(embed)]
    pub user: User,
    /// The session.
    #[diesel(sql_type = Json)]
    pub session: Session,
}

/// What holds for the tokens of both versions: user and session may go on.
macro_rules! nothing_speaks_against {
    ($refreshed_at:literal) => {
        concat!(
            "u.instance_id = '00000000-0000-0000-0000-000000000000' and (u.banned_until is null or u.banned_until <= q.at) \
             and coalesce(s.oauth_client_id, '00000000-0000-0000-0000-000000000000') = '00000000-0000-0000-0000-000000000000' \
             and (s.not_after is null or s.not_after >= q.at) and (q.began_after is null or s.created_at >= q.began_after) \
             and (q.refreshed_after is null or coalesce(s.refreshed_at at time zone 'UTC', ",
            $refreshed_at,
            ") >= q.refreshed_after)"
        )
    };
}

/// What the audit log says of the user who acts, as [`crate::models::audit_log_entry::Actor::User`] does.
macro_rules! actor {
    () => {
        "jsonb_build_object('actor_id', u.id, 'actor_username', coalesce(nullif(u.phone, ''), u.email, ''), \
         'actor_via_sso', u.is_sso_user) || case when u.raw_user_meta_data ? 'full_name' \
         then jsonb_build_object('actor_name', u.raw_user_meta_data->'full_name') else '{}' end"
    };
}

/// Writes an entry of the audit log for each of these ids and actions.
macro_rules! audit {
    ($entries:literal) => {
        concat!(
            "insert into audit_log_entries (instance_id, id, payload, created_at, ip_address) \
             select '00000000-0000-0000-0000-000000000000', a.id, \
             (t.actor || jsonb_build_object('action', a.action, 'log_type', 'token'))::json, t.at, '' \
             from t, lateral (values ",
            $entries,
            ") a(id, action) where a.id is not null"
        )
    };
}

/// The users of what was exchanged, with their sessions.
macro_rules! exchanged {
    () => {
        select_users!(
            concat!(", t.n, ", session_json!("s.id = t.session_id"), " as session"),
            from "t join users u on u.id = t.user_id",
            "true"
        )
    };
}

/// One value of each exchange, as the elements of an array.
fn column<'a, Token, Value>(
    exchanges: &'a [Exchange<Token>],
    value: impl Fn(&'a Exchange<Token>) -> Value,
) -> Vec<Value> {
    exchanges.iter().map(value).collect()
}

impl Exchange<Stored> {
    /// Exchanges version 1 tokens: revokes each, and makes its child. `None` for those that are not taken.
    pub fn all<'a>(
        conn: &'a mut Conn,
        exchanges: &'a [Self],
    ) -> BoxFuture<'a, QueryResult<Vec<Option<Exchanged>>>> {
        async move {
            let rows = statement(concat!(
                // Of two requests with one token, one is decided elsewhere.
                "with q as (select distinct on (token) * from unnest((select $1::text[]), (select $2::text[]), \
                   (select $3::timestamptz[]), (select $4::timestamptz[]), (select $5::timestamptz[]), (select $6::text[]), \
                   (select $7::text[]), (select $8::uuid[]), (select $9::uuid[])) with ordinality \
                   q(token, child, at, began_after, refreshed_after, user_agent, ip, refreshed, revoked, n)), \
                 t as materialized (select q.*, r.id, r.user_id as owner, s.id as session_id, u.id as user_id, ",
                actor!(),
                " as actor from q join refresh_tokens r on r.token = q.token join sessions s on s.id = r.session_id \
                   join users u on u.id = r.user_id::uuid where r.revoked is false and ",
                nothing_speaks_against!("greatest(r.updated_at, s.created_at)"),
                " for update of r, s skip locked), \
                 old as (update refresh_tokens r set revoked = true, updated_at = t.at from t where r.id = t.id), \
                 new as (insert into refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id) \
                   select '00000000-0000-0000-0000-000000000000', t.child, t.owner, false, t.at, t.at, t.token, t.session_id from t), \
                 touched as (update sessions s set refreshed_at = t.at at time zone 'UTC', updated_at = t.at, \
                   user_agent = t.user_agent, ip = t.ip::inet from t where s.id = t.session_id), \
                 log as (",
                audit!("(t.refreshed, 'token_refreshed'), (t.revoked, 'token_revoked')"),
                ") ",
                exchanged!(),
            ))
            .bind::<Array<Text>, _>(column(exchanges, |each| each.token.token.as_str()))
            .bind::<Array<Text>, _>(column(exchanges, |each| each.token.child.as_str()))
            .bind::<Array<Timestamptz>, _>(column(exchanges, |each| each.at))
            .bind::<Array<Nullable<Timestamptz>>, _>(column(exchanges, |each| each.began_after))
            .bind::<Array<Nullable<Timestamptz>>, _>(column(exchanges, |each| each.refreshed_after))
            .bind::<Array<Nullable<Text>>, _>(column(exchanges, |each| each.user_agent.as_deref()))
            .bind::<Array<Nullable<Text>>, _>(column(exchanges, |each| each.ip.map(|ip| ip.to_string())))
            .bind::<Array<Nullable<SqlUuid>>, _>(column(exchanges, |each| each.audit.map(|[refreshed, _]| refreshed)))
            .bind::<Array<Nullable<SqlUuid>>, _>(column(exchanges, |each| each.audit.map(|[_, revoked]| revoked)))
            .load(conn)
            .await?;
            Ok(in_order(exchanges.len(), rows, |row: &Exchanged| row.n))
        }
        .boxed()
    }
}

/// HMAC-SHA256 (RFC 2104) of `q.message`, by functions that every Postgres has. `k` holds the key's 32 bytes as four
/// numbers; with the zeros that follow they make a block of 64 bytes, which is mixed with each pad.
macro_rules! hmac {
    () => {
        concat!(
            "sha256(",
            hmac!(block "x'5c5c5c5c5c5c5c5c'::bigint"),
            " || sha256(",
            hmac!(block "x'3636363636363636'::bigint"),
            " || q.message))"
        )
    };
    (block $pad:literal) => {
        concat!(
            "int8send(k.a # ", $pad, ") || int8send(k.b # ", $pad, ") || int8send(k.c # ", $pad, ") || int8send(k.d # ", $pad,
            ") || int8send(", $pad, ") || int8send(", $pad, ") || int8send(", $pad, ") || int8send(", $pad, ")"
        )
    };
}

impl Exchange<SignedToken> {
    /// Exchanges version 2 tokens: moves the counter of each session. `None` for those that are not taken.
    pub fn all<'a>(
        conn: &'a mut Conn,
        exchanges: &'a [Self],
    ) -> BoxFuture<'a, QueryResult<Vec<Option<Exchanged>>>> {
        async move {
            let rows = statement(concat!(
                "with q as (select distinct on (session_id) * from unnest((select $1::uuid[]), (select $2::bigint[]), \
                   (select $3::bytea[]), (select $4::bytea[]), (select $5::timestamptz[]), (select $6::timestamptz[]), \
                   (select $7::timestamptz[]), (select $8::text[]), (select $9::text[]), (select $10::uuid[])) with ordinality \
                   q(session_id, counter, message, tag, at, began_after, refreshed_after, user_agent, ip, refreshed, n)), \
                 t as materialized (select q.*, u.id as user_id, ",
                actor!(),
                " as actor from q join sessions s on s.id = q.session_id join users u on u.id = s.user_id, \
                   lateral (select case when s.refresh_token_hmac_key ~ '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$' then \
                     encode(decode(translate(s.refresh_token_hmac_key, '-_', '+/') || '=', 'base64'), 'hex') end as hex) h, \
                   lateral (select ('x' || substr(h.hex, 1, 16))::bit(64)::bigint as a, ('x' || substr(h.hex, 17, 16))::bit(64)::bigint as b, \
                     ('x' || substr(h.hex, 33, 16))::bit(64)::bigint as c, ('x' || substr(h.hex, 49, 16))::bit(64)::bigint as d) k \
                   where s.refresh_token_counter = q.counter and ",
                // Hashes are compared, so that time tells nothing of the right tag.
                "sha256(q.tag) = sha256(substr(", hmac!(), ", 1, 16)) and ",
                nothing_speaks_against!("s.created_at"),
                " for update of s skip locked), \
                 touched as (update sessions s set refreshed_at = t.at at time zone 'UTC', updated_at = t.at, \
                   user_agent = t.user_agent, ip = t.ip::inet, refresh_token_counter = t.counter + 1 from t where s.id = t.session_id), \
                 log as (",
                audit!("(t.refreshed, 'token_refreshed')"),
                ") ",
                exchanged!(),
            ))
            .bind::<Array<SqlUuid>, _>(column(exchanges, |each| each.token.session_id))
            .bind::<Array<BigInt>, _>(column(exchanges, |each| each.token.counter))
            .bind::<Array<Binary>, _>(column(exchanges, |each| each.token.message()))
            .bind::<Array<Binary>, _>(column(exchanges, |each| each.token.tag().as_slice()))
            .bind::<Array<Timestamptz>, _>(column(exchanges, |each| each.at))
            .bind::<Array<Nullable<Timestamptz>>, _>(column(exchanges, |each| each.began_after))
            .bind::<Array<Nullable<Timestamptz>>, _>(column(exchanges, |each| each.refreshed_after))
            .bind::<Array<Nullable<Text>>, _>(column(exchanges, |each| each.user_agent.as_deref()))
            .bind::<Array<Nullable<Text>>, _>(column(exchanges, |each| each.ip.map(|ip| ip.to_string())))
            .bind::<Array<Nullable<SqlUuid>>, _>(column(exchanges, |each| each.audit.map(|[refreshed, _]| refreshed)))
            .load(conn)
            .await?;
            Ok(in_order(exchanges.len(), rows, |row: &Exchanged| row.n))
        }
        .boxed()
    }
}
