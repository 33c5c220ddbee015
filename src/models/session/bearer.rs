//! Whom bearer tokens name: users with their sessions, many in one statement.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Json, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Session, session_json};
use crate::db::{Conn, in_order, statement};
use crate::models::user::{User, select_users};

/// What a token says about its bearer.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The user.
    pub user_id: Uuid,
    /// The session, if the token names one.
    pub session_id: Option<Uuid>,
}

/// A user, and the session that a token named, if that exists and is this user's.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Bearer {
    #[diesel(sql_type = BigInt)]
    n: i64,
    /// The user.
    #[diesel(embed)]
    pub user: User,
    /// The session.
    #[diesel(sql_type = Nullable<Json>)]
    pub session: Option<Session>,
}

impl Bearer {
    /// Finds the bearers of some tokens, in the tokens' order.
    pub fn find<'a>(
        conn: &'a mut Conn,
        named: &'a [Named],
    ) -> BoxFuture<'a, diesel::QueryResult<Vec<Option<Self>>>> {
        async move {
            let users: Vec<Uuid> = named.iter().map(|named| named.user_id).collect();
            let sessions: Vec<Option<Uuid>> = named.iter().map(|named| named.session_id).collect();
            let found: Vec<Self> = statement(select_users!(
                concat!(
                    ", q.n, ",
                    session_json!("s.id = q.session_id and s.user_id = u.id"),
                    " as session"
                ),
                from "unnest((select $1::uuid[]), (select $2::uuid[])) with ordinality q(user_id, session_id, n) \
                      join users u on u.id = q.user_id",
                "u.instance_id = '00000000-0000-0000-0000-000000000000'"
            ))
            .bind::<Array<SqlUuid>, _>(users)
            .bind::<Array<Nullable<SqlUuid>>, _>(sessions)
            .load(conn)
            .await?;
            Ok(in_order(named.len(), found, |bearer| bearer.n))
        }
        .boxed()
    }
}
