//! `audit_log_entries`: who did what, exactly as GoTrue writes it. Never cleaned.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Json, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::user::User;
use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// An action of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GoTrue's action names say it")]
pub enum Action {
    Login,
    Logout,
    UserSignedUp,
    UserInvited,
    UserDeleted,
    UserModified,
    UserRecoveryRequested,
    UserReauthenticateRequested,
    UserConfirmationRequested,
    UserRepeatedSignUp,
    UserUpdatedPassword,
    TokenRevoked,
    TokenRefreshed,
    IdentityLinked,
    IdentityUnlinked,
    InviteAccepted,
    FactorDeleted,
    FactorUpdated,
}

impl Action {
    /// `action` and `log_type` of the payload.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Login => ("login", "account"),
            Self::Logout => ("logout", "account"),
            Self::UserSignedUp => ("user_signedup", "team"),
            Self::UserInvited => ("user_invited", "team"),
            Self::UserDeleted => ("user_deleted", "team"),
            Self::UserModified => ("user_modified", "user"),
            Self::UserRecoveryRequested => ("user_recovery_requested", "user"),
            Self::UserReauthenticateRequested => ("user_reauthenticate_requested", "user"),
            Self::UserConfirmationRequested => ("user_confirmation_requested", "user"),
            Self::UserRepeatedSignUp => ("user_repeated_signup", "user"),
            Self::UserUpdatedPassword => ("user_updated_password", "user"),
            Self::TokenRevoked => ("token_revoked", "token"),
            Self::TokenRefreshed => ("token_refreshed", "token"),
            Self::IdentityLinked => ("identity_linked", "user"),
            Self::IdentityUnlinked => ("identity_unlinked", "user"),
            Self::InviteAccepted => ("invite_accepted", "account"),
            Self::FactorDeleted => ("factor_deleted", "factor"),
            Self::FactorUpdated => ("factor_updated", "factor"),
        }
    }
}

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    /// A user.
    User(&'a User),
    /// The holder of an admin token; its role stands for a name.
    Admin(&'a str),
}

/// A row of the log.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct AuditLogEntry {
    /// Its id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// Who, what, on what.
    #[diesel(sql_type = Json)]
    pub payload: Value,
    /// When.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    /// From where; GoTrue fills it for a few actions only.
    #[diesel(sql_type = Text)]
    pub ip_address: String,
}

impl AuditLogEntry {
    /// A new entry; `traits` is what the action is about.
    #[must_use]
    pub fn new(
        actor: Actor<'_>,
        action: Action,
        traits: Option<Value>,
        ip_address: &str,
        now: Timestamp,
    ) -> Self {
        let (name, log_type) = action.names();
        let mut payload = Map::new();
        match actor {
            Actor::User(user) => {
                let username = user
                    .phone
                    .as_deref()
                    .filter(|phone| !phone.is_empty())
                    .unwrap_or_else(|| user.email());
                payload.insert("actor_id".into(), json!(user.id));
                payload.insert("actor_username".into(), username.into());
                payload.insert("actor_via_sso".into(), user.is_sso_user.into());
                if let Some(full_name) = user.user_metadata.get("full_name") {
                    payload.insert("actor_name".into(), full_name.clone());
                }
            }
            Actor::Admin(role) => {
                payload.insert("actor_id".into(), json!(Uuid::nil()));
                payload.insert("actor_username".into(), role.into());
                payload.insert("actor_via_sso".into(), false.into());
            }
        }
        payload.insert("action".into(), name.into());
        payload.insert("log_type".into(), log_type.into());
        if let Some(traits) = traits {
            payload.insert("traits".into(), traits);
        }
        Self {
            id: Uuid::new_v4(),
            payload: Value::Object(payload),
            created_at: now,
            ip_address: ip_address.to_owned(),
        }
    }

    /// Writes the row.
    pub async fn insert(&self, mut conn: &Conn) -> QueryResult<()> {
        statement(
            "insert into audit_log_entries (instance_id, id, payload, created_at, ip_address) \
             values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4)",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Json, _>(&self.payload)
        .bind::<Timestamptz, _>(self.created_at)
        .bind::<Text, _>(&self.ip_address)
        .execute(&mut conn)
        .await
        .map(drop)
    }

    /// A page, newest first, and how many entries match in all. `fields` are the payload members of which one
    /// must contain `text` in any case; `%` and `_` are wildcards.
    pub async fn list(
        conn: &mut Conn,
        fields: &[&str],
        text: &str,
        limit: i64,
        offset: i64,
    ) -> QueryResult<(Vec<Self>, i64)> {
        let first = fields.first().copied().unwrap_or_default();
        let second = fields.get(1).copied().unwrap_or(first);
        let entries = statement(
            "select id, payload, coalesce(created_at, 'epoch') as created_at, ip_address from audit_log_entries \
             where instance_id = '00000000-0000-0000-0000-000000000000' \
             and ($1 = '' or $3 = '' or payload->>$1 ilike '%' || $3 || '%' or payload->>$2 ilike '%' || $3 || '%') \
             order by created_at desc limit $4 offset $5",
        )
        .bind::<Text, _>(first)
        .bind::<Text, _>(second)
        .bind::<Text, _>(text)
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(offset)
        .load(conn)
        .await?;
        let Count { count } = statement(
            "select count(*) from audit_log_entries where instance_id = '00000000-0000-0000-0000-000000000000' \
             and ($1 = '' or $3 = '' or payload->>$1 ilike '%' || $3 || '%' or payload->>$2 ilike '%' || $3 || '%')",
        )
        .bind::<Text, _>(first)
        .bind::<Text, _>(second)
        .bind::<Text, _>(text)
        .get_result(conn)
        .await?;
        Ok((entries, count))
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
