//! Lists of users, for administrators.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::User;
use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// What an administrator lists.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The audience.
    pub aud: &'a str,
    /// A part of the e-mail address, or of `user_metadata.full_name` in any case; `%` and `_` are wildcards.
    pub filter: &'a str,
    /// Oldest first?
    pub ascending: bool,
    /// At most so many.
    pub limit: i64,
}

/// Users of an audience; GoTrue knows them by their instance.
macro_rules! audience {
    () => {
        "from users u where u.instance_id = '00000000-0000-0000-0000-000000000000' and u.aud = $1"
    };
}

/// Those that are searched for.
macro_rules! matching {
    () => {
        "($2 = '' or u.email like '%' || $2 || '%' or u.raw_user_meta_data->>'full_name' ilike '%' || $2 || '%')"
    };
}

/// The columns of a listed user: as `select_users!` has them, without identities and factors.
macro_rules! list_users {
    ($rest:literal) => {
        concat!(
            "select u.id, coalesce(u.aud, '') as aud, coalesce(u.role, '') as role, u.email, u.is_sso_user, \
             null::text as encrypted_password, u.email_confirmed_at, u.invited_at, u.phone, u.phone_confirmed_at, \
             '' as confirmation_token, u.confirmation_sent_at, u.confirmed_at, '' as recovery_token, u.recovery_sent_at, \
             '' as email_change_token_current, '' as email_change_token_new, coalesce(u.email_change, '') as email_change, \
             u.email_change_sent_at, 0::smallint as email_change_confirm_status, '' as phone_change_token, \
             coalesce(u.phone_change, '') as phone_change, u.phone_change_sent_at, '' as reauthentication_token, \
             u.reauthentication_sent_at, u.last_sign_in_at, coalesce(u.raw_app_meta_data, '{}') as raw_app_meta_data, \
             coalesce(u.raw_user_meta_data, '{}') as raw_user_meta_data, coalesce(u.created_at, 'epoch') as created_at, \
             coalesce(u.updated_at, u.created_at, 'epoch') as updated_at, u.banned_until, u.deleted_at, u.is_anonymous, \
             null::json as identities, null::json as factors ",
            audience!(),
            " and ",
            matching!(),
            " ",
            $rest
        )
    };
}

/// What [`User::count`] found.
#[derive(Debug, QueryableByName)]
pub struct Counted {
    /// The users of the audience.
    #[diesel(sql_type = BigInt)]
    pub audience: i64,
    /// Those that match.
    #[diesel(sql_type = BigInt)]
    pub matching: i64,
}

impl User {
    /// A page by number: `offset` users are skipped.
    pub async fn list(
        conn: &mut Conn,
        listing: &Listing<'_>,
        offset: i64,
    ) -> QueryResult<Vec<Self>> {
        let sql = if listing.ascending {
            list_users!("order by u.created_at limit $3 offset $4")
        } else {
            list_users!("order by u.created_at desc limit $3 offset $4")
        };
        statement(sql)
            .bind::<Text, _>(listing.aud)
            .bind::<Text, _>(listing.filter)
            .bind::<BigInt, _>(listing.limit)
            .bind::<BigInt, _>(offset)
            .load(conn)
            .await
    }

    /// How many users an audience has, and how many match a filter. Reads the whole table.
    pub async fn count(conn: &mut Conn, aud: &str, filter: &str) -> QueryResult<Counted> {
        statement(concat!(
            "select count(*) as audience, count(*) filter (where ",
            matching!(),
            ") as matching ",
            audience!()
        ))
        .bind::<Text, _>(aud)
        .bind::<Text, _>(filter)
        .get_result(conn)
        .await
    }

    /// A page that begins behind a user: no count, no offset.
    pub async fn list_after(
        conn: &mut Conn,
        listing: &Listing<'_>,
        after: Option<(Timestamp, Uuid)>,
    ) -> QueryResult<Vec<Self>> {
        let sql = if listing.ascending {
            list_users!(
                "and ($4::timestamptz is null or (u.created_at, u.id) > ($4, $5)) order by u.created_at, u.id limit $3"
            )
        } else {
            list_users!(
                "and ($4::timestamptz is null or (u.created_at, u.id) < ($4, $5)) order by u.created_at desc, u.id desc limit $3"
            )
        };
        statement(sql)
            .bind::<Text, _>(listing.aud)
            .bind::<Text, _>(listing.filter)
            .bind::<BigInt, _>(listing.limit)
            .bind::<Nullable<Timestamptz>, _>(after.map(|(created_at, _)| created_at))
            .bind::<Nullable<SqlUuid>, _>(after.map(|(_, id)| id))
            .load(conn)
            .await
    }
}
