//! `mfa_factors`: second factors, as loaded with their user.

use diesel::QueryResult;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::{self, Timestamp};
use crate::db::{Conn, statement};

/// A second factor without its secrets.
#[derive(Debug, Clone, Deserialize)]
pub struct Factor {
    /// Its id.
    pub id: Uuid,
    /// The name its owner gave it.
    pub friendly_name: Option<String>,
    /// `totp`, `phone` or `webauthn`.
    pub factor_type: String,
    /// `unverified` or `verified`.
    pub status: String,
    /// The number of a phone factor, digits without `+`.
    pub phone: Option<String>,
    /// When the row was made.
    #[serde(deserialize_with = "clock::deserialize")]
    pub created_at: Timestamp,
    /// When the row was last written.
    #[serde(deserialize_with = "clock::deserialize")]
    pub updated_at: Timestamp,
    /// When it was last challenged.
    #[serde(deserialize_with = "clock::deserialize_option")]
    pub last_challenged_at: Option<Timestamp>,
    /// The authenticator model of a WebAuthn factor.
    pub web_authn_aaguid: Option<Uuid>,
    /// The last WebAuthn ceremony, as GoTrue stored it.
    pub last_webauthn_challenge_data: Option<Value>,
}

impl Factor {
    /// Has its owner proven to hold it?
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.status == "verified"
    }

    /// The method that sign-ins with this factor are noted as.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self.factor_type.as_str() {
            "totp" => "totp",
            "phone" => "mfa/phone",
            _ => "mfa/webauthn",
        }
    }

    /// Writes name and number.
    pub async fn save_names(&self, conn: &mut Conn) -> QueryResult<()> {
        statement(
            "update mfa_factors set friendly_name = $2, phone = $3, updated_at = $4 where id = $1",
        )
        .bind::<SqlUuid, _>(self.id)
        .bind::<Nullable<Text>, _>(&self.friendly_name)
        .bind::<Nullable<Text>, _>(&self.phone)
        .bind::<Timestamptz, _>(self.updated_at)
        .execute(conn)
        .await
        .map(drop)
    }

    /// Removes the row, and its challenges by cascade.
    pub async fn delete(&self, conn: &mut Conn) -> QueryResult<()> {
        statement("delete from mfa_factors where id = $1")
            .bind::<SqlUuid, _>(self.id)
            .execute(conn)
            .await
            .map(drop)
    }
}
