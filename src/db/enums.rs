//! The enum types of the schema, as SQL types for Diesel and as Rust enums.
//!
//! Ordinary queries bind and read these enums as they are. Diesel and tokio-postgres then ask the catalogs about the type, a
//! handful of round trips once per connection. Hand-written statements of hot paths avoid that: they name the type in the SQL and
//! see text (`aal::text` to read, `$1::aal_level` with `bind::<Text, _>(Aal::Two)` to write).

use std::io::Write as _;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Text;

macro_rules! enums {
    ($( $(#[$about:meta])* $name:ident = $type:tt { $( $variant:ident = $label:literal, )+ } )+) => {
        /// What Diesel calls the types.
        pub mod sql_types {
            $(
                #[doc = concat!("Postgres' `", $type, "`.")]
                #[derive(Debug, Clone, Copy, diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
                #[diesel(postgres_type(name = $type))]
                pub struct $name;
            )+
        }

        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
            #[diesel(sql_type = Text)]
            #[diesel(sql_type = sql_types::$name)]
            pub enum $name {
                $( #[doc = concat!("`", $label, "`")] $variant, )+
            }

            impl $name {
                /// The label in the database.
                #[must_use]
                pub const fn as_str(self) -> &'static str {
                    match self { $( Self::$variant => $label, )+ }
                }

                fn read(label: &[u8]) -> deserialize::Result<Self> {
                    $( if label == $label.as_bytes() { return Ok(Self::$variant); } )+
                    Err(format!("unknown {}: {}", $type, String::from_utf8_lossy(label)).into())
                }
            }

            enums!(@both $name, Text);
            enums!(@both $name, sql_types::$name);
        )+
    };
    // Postgres sends and takes a label's text, whatever the type.
    (@both $name:ident, $sql:path) => {
        impl FromSql<$sql, Pg> for $name {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                Self::read(value.as_bytes())
            }
        }

        impl ToSql<$sql, Pg> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                out.write_all(self.as_str().as_bytes())?;
                Ok(IsNull::No)
            }
        }
    };
}

enums! {
    /// How well a session is authenticated: authenticator assurance level.
    Aal = "aal_level" { One = "aal1", Two = "aal2", Three = "aal3", }

    /// What a second factor is.
    FactorType = "factor_type" { Totp = "totp", Webauthn = "webauthn", Phone = "phone", }

    /// Whether a factor's owner has proved to hold it.
    FactorStatus = "factor_status" { Unverified = "unverified", Verified = "verified", }

    /// How a PKCE challenge was made from its verifier (RFC 7636 §4.2).
    CodeChallengeMethod = "code_challenge_method" { S256 = "s256", Plain = "plain", }

    /// What a one-time token is for: the column of `users` that holds it as well.
    OneTimeTokenType = "one_time_token_type" {
        Confirmation = "confirmation_token",
        Reauthentication = "reauthentication_token",
        Recovery = "recovery_token",
        EmailChangeNew = "email_change_token_new",
        EmailChangeCurrent = "email_change_token_current",
        PhoneChange = "phone_change_token",
    }

    /// How an OAuth client came to be known.
    OauthRegistrationType = "oauth_registration_type" { Dynamic = "dynamic", Manual = "manual", }

    /// Whether an OAuth client can keep a secret (RFC 6749 §2.1).
    OauthClientType = "oauth_client_type" { Public = "public", Confidential = "confidential", }

    /// How far an OAuth authorization request has come.
    OauthAuthorizationStatus = "oauth_authorization_status" {
        Pending = "pending",
        Approved = "approved",
        Denied = "denied",
        Expired = "expired",
    }

    /// What an OAuth authorization request asks for.
    OauthResponseType = "oauth_response_type" { Code = "code", }
}
