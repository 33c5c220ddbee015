//! Rows of any table that nobody needs any more. The rules are GoTrue's (`models/cleanup.go`).

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// Removing a session removes what belongs to it.
const SESSIONS: i64 = 10;
/// Any other rows.
const ROWS: i64 = 100;

/// Why rows are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Refresh tokens that are revoked.
    RevokedTokens,
    /// Refresh tokens of sessions that have ended: they are only revoked, so that sessions have few rows when they go.
    TokensOfEndedSessions,
    /// Sessions that have ended.
    EndedSessions,
    /// Detours to a SAML provider.
    RelayStates,
    /// Flows by PKCE or to a provider.
    FlowStates,
    /// Detours to an OAuth provider.
    OauthClientStates,
    /// Challenges of second factors.
    Challenges,
    /// Second factors that were never verified.
    UnverifiedFactors,
    /// Challenges of passkeys.
    PasskeyChallenges,
    /// Users without e-mail or phone, by their age alone.
    AnonymousUsers,
    /// Sessions that are older than they may get.
    OldSessions(TimeDelta),
    /// Sessions that were not refreshed for so long.
    IdleSessions(TimeDelta),
    /// The same of sessions that were never refreshed: their token tells.
    IdleNewSessions(TimeDelta),
}

/// `$1` is the moment before which a row is stale, `$2` how many rows. Rows that somebody else works with are left.
macro_rules! delete {
    ($table:literal, $stale:literal) => {
        delete!(
            $table,
            concat!("select id from ", $table, " where ", $stale),
        )
    };
    ($table:literal, $select:expr,) => {
        concat!(
            "delete from ",
            $table,
            " where id in (",
            $select,
            " limit $2 for update skip locked)"
        )
    };
}

impl Stale {
    /// For how long rows are kept nevertheless, how many go at once, and how.
    fn rule(self) -> (TimeDelta, i64, &'static str) {
        let day = TimeDelta::days(1);
        match self {
            Self::RevokedTokens => (
                day,
                ROWS,
                delete!("refresh_tokens", "revoked and updated_at < $1"),
            ),
            Self::TokensOfEndedSessions => (
                day,
                ROWS,
                "update refresh_tokens set revoked = true, updated_at = $3 where id in (select r.id from refresh_tokens r \
                 join sessions s on s.id = r.session_id where s.not_after < $1 and not r.revoked limit $2 for update skip locked)",
            ),
            Self::EndedSessions => (
                TimeDelta::days(3),
                SESSIONS,
                delete!("sessions", "not_after < $1"),
            ),
            Self::RelayStates => (day, ROWS, delete!("saml_relay_states", "created_at < $1")),
            Self::FlowStates => (day, ROWS, delete!("flow_state", "created_at < $1")),
            Self::OauthClientStates => {
                (day, ROWS, delete!("oauth_client_states", "created_at < $1"))
            }
            Self::Challenges => (day, ROWS, delete!("mfa_challenges", "created_at < $1")),
            Self::UnverifiedFactors => (
                day,
                ROWS,
                delete!("mfa_factors", "created_at < $1 and status = 'unverified'"),
            ),
            Self::PasskeyChallenges => (
                TimeDelta::zero(),
                ROWS,
                delete!("webauthn_challenges", "expires_at < $1"),
            ),
            Self::AnonymousUsers => (
                TimeDelta::days(30),
                ROWS,
                delete!("users", "created_at < $1 and is_anonymous"),
            ),
            Self::OldSessions(timebox) => {
                (timebox + day, ROWS, delete!("sessions", "created_at < $1"))
            }
            Self::IdleSessions(timeout) => (
                timeout + day,
                ROWS,
                delete!("sessions", "refreshed_at < $1 at time zone 'utc'"),
            ),
            Self::IdleNewSessions(timeout) => (
                timeout + day,
                ROWS,
                delete!(
                    "sessions",
                    "select s.id from sessions s join refresh_tokens r on r.session_id = s.id \
                     where s.refreshed_at is null and not r.revoked and r.updated_at < $1",
                ),
            ),
        }
    }

    /// Removes some. Whether there may be more.
    pub async fn remove(self, conn: &mut Conn, now: Timestamp) -> QueryResult<bool> {
        let (age, limit, sql) = self.rule();
        let removed = statement(sql)
            .bind::<Timestamptz, _>(now - age)
            .bind::<BigInt, _>(limit)
            .bind::<Timestamptz, _>(now)
            .execute(conn)
            .await?;
        Ok(i64::try_from(removed).unwrap_or(limit) >= limit)
    }
}
