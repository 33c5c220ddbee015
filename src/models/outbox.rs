//! `truegate.outbox`: mails that acts have written and nobody has delivered yet. A row is written in the act's own
//! transaction and deleted after delivery.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::db::{Conn, statement};
use crate::outside::templates::Rendered;

/// A mail that its holder may deliver: nobody else will before its lease ends.
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Outbox {
    /// Its name, also in its Message-ID.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// A [`MailKind`]'s name; another version's, perhaps.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// One address.
    #[diesel(sql_type = Text)]
    pub recipient: String,
    /// Its subject.
    #[diesel(sql_type = Text)]
    pub subject: String,
    /// Its HTML body.
    #[diesel(sql_type = Text)]
    pub html: String,
    /// Its text body, when it has one.
    #[diesel(sql_type = Nullable<Text>)]
    pub plain: Option<String>,
    /// When its act took place.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    /// How often it was tried, this time included.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
}

/// What the operator may know of a mail: not what stands in it.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Waiting {
    /// Its name.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// A [`MailKind`]'s name.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// One address.
    #[diesel(sql_type = Text)]
    pub recipient: String,
    /// When its act took place.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    /// How often it was tried.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// When it is tried again.
    #[diesel(sql_type = Timestamptz)]
    pub next_attempt_at: Timestamp,
    /// Why it was not delivered the last time.
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
    /// Since when nobody tries any more.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub given_up_at: Option<Timestamp>,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next: Option<Timestamp>,
}

impl Outbox {
    /// Writes a mail down; workers take it from `due` on.
    pub async fn queue(
        mut conn: &Conn,
        kind: MailKind,
        recipient: &str,
        mail: &Rendered,
        now: Timestamp,
        due: Timestamp,
    ) -> QueryResult<Uuid> {
        let id = Uuid::new_v4();
        statement(
            "insert into truegate.outbox (id, kind, recipient, subject, html, plain, created_at, next_attempt_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(kind.as_str())
        .bind::<Text, _>(recipient)
        .bind::<Text, _>(mail.subject.as_str())
        .bind::<Text, _>(mail.html.as_str())
        .bind::<Nullable<Text>, _>(mail.text.as_deref())
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(due)
        .execute(&mut conn)
        .await?;
        Ok(id)
    }

    /// Takes up to `limit` mails that are due, the longest due first. Until `lease_end` they are the caller's.
    pub async fn claim_due(
        conn: &mut Conn,
        limit: usize,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> QueryResult<Vec<Self>> {
        statement(
            "update truegate.outbox o set next_attempt_at = $2, attempts = o.attempts + 1, last_error = null from (select id from truegate.outbox \
             where given_up_at is null and next_attempt_at <= $1 order by next_attempt_at limit $3 for update skip locked) due \
             where o.id = due.id \
             returning o.id, o.kind, o.recipient, o.subject, o.html, o.plain, o.created_at, o.attempts",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(lease_end)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .load(conn)
        .await
    }

    /// Takes a mail that was queued with a lease for the caller; none: another replica was quicker after its end.
    pub async fn claim(
        conn: &mut Conn,
        id: Uuid,
        lease_end: Timestamp,
    ) -> QueryResult<Option<Self>> {
        statement(
            "update truegate.outbox set next_attempt_at = $2, attempts = 1 where id = $1 and attempts = 0 \
             returning id, kind, recipient, subject, html, plain, created_at, attempts",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Timestamptz, _>(lease_end)
        .get_result(conn)
        .await
        .optional()
    }

    /// Forgets a mail that was delivered.
    pub async fn delivered(self, conn: &mut Conn) -> QueryResult<()> {
        statement("delete from truegate.outbox where id = $1")
            .bind::<SqlUuid, _>(self.id)
            .execute(conn)
            .await
            .map(drop)
    }

    /// Notes why it was not delivered, and when to try again; unless another has taken it since, after its lease.
    pub async fn postpone(
        self,
        conn: &mut Conn,
        reason: &str,
        until: Timestamp,
    ) -> QueryResult<()> {
        statement(
            "update truegate.outbox set last_error = $2, next_attempt_at = $3 where id = $1 and attempts = $4",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Text, _>(reason)
        .bind::<Timestamptz, _>(until)
        .bind::<Integer, _>(self.attempts)
        .execute(conn)
        .await
        .map(drop)
    }

    /// Notes that nobody will try any more. What stood in it is gone: the codes may still be good.
    pub async fn give_up(self, conn: &mut Conn, reason: &str, now: Timestamp) -> QueryResult<()> {
        statement(
            "update truegate.outbox set given_up_at = $3, last_error = $2, subject = '', html = '', plain = null where id = $1 and attempts = $4",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Text, _>(reason)
        .bind::<Timestamptz, _>(now)
        .bind::<Integer, _>(self.attempts)
        .execute(conn)
        .await
        .map(drop)
    }

    /// When the next mail is due.
    pub async fn next_due(conn: &mut Conn) -> QueryResult<Option<Timestamp>> {
        statement(
            "select min(next_attempt_at) as next from truegate.outbox where given_up_at is null",
        )
        .get_result(conn)
        .await
        .map(|due: Due| due.next)
    }
}

impl Waiting {
    /// Every mail that was not delivered, the oldest first.
    pub async fn all(conn: &mut Conn) -> QueryResult<Vec<Self>> {
        statement(
            "select id, kind, recipient, created_at, attempts, next_attempt_at, last_error, given_up_at \
             from truegate.outbox order by created_at, id",
        )
        .load(conn)
        .await
    }

    /// Makes mails due at once, with all their attempts before them: one, or all that wait for another attempt. How
    /// many there were. Those that were given up have no content any more; and one that is under way stays as it is.
    pub async fn retry(conn: &mut Conn, id: Option<Uuid>, now: Timestamp) -> QueryResult<usize> {
        statement(
            "update truegate.outbox set next_attempt_at = $2, attempts = 0, last_error = null \
             where given_up_at is null and last_error is not null and id = coalesce($1, id)",
        )
        .bind::<Nullable<SqlUuid>, _>(id)
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await
    }

    /// Drops one mail, or all that were given up. How many there were.
    pub async fn drop(conn: &mut Conn, id: Option<Uuid>) -> QueryResult<usize> {
        statement(
            "delete from truegate.outbox where case when $1 is null then given_up_at is not null else id = $1 end",
        )
        .bind::<Nullable<SqlUuid>, _>(id)
        .execute(conn)
        .await
    }
}
