//! `custom_oauth_providers`: identity providers that administrators add while the server runs.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{Conn, statement};

/// How a provider is asked who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderType {
    /// By its userinfo endpoint.
    Oauth2,
    /// By an ID token; its endpoints are discovered.
    Oidc,
}

impl ProviderType {
    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Oauth2, Self::Oidc]
            .into_iter()
            .find(|known| known.as_str() == name)
    }

    /// Its name in the database and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::Oidc => "oidc",
        }
    }
}

/// A provider as administrators describe it.
#[derive(Clone, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "the columns of GoTrue's table, in its words"
)]
pub struct CustomProvider {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub provider_type: String,
    /// With its prefix `custom:`.
    #[diesel(sql_type = Text)]
    pub identifier: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub client_id: String,
    /// It may be sealed.
    #[diesel(sql_type = Text)]
    pub client_secret: String,
    #[diesel(sql_type = Array<Text>)]
    pub acceptable_client_ids: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    pub scopes: Vec<String>,
    #[diesel(sql_type = Bool)]
    pub pkce_enabled: bool,
    #[diesel(sql_type = Jsonb)]
    pub attribute_mapping: Value,
    #[diesel(sql_type = Array<Text>)]
    pub custom_claims_allowlist: Vec<String>,
    #[diesel(sql_type = Jsonb)]
    pub authorization_params: Value,
    #[diesel(sql_type = Bool)]
    pub enabled: bool,
    #[diesel(sql_type = Bool)]
    pub email_optional: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub issuer: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub discovery_url: Option<String>,
    #[diesel(sql_type = Bool)]
    pub skip_nonce_check: bool,
    /// The issuer's document, as it was when the provider was described.
    #[diesel(sql_type = Nullable<Jsonb>)]
    pub cached_discovery: Option<Value>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub discovery_cached_at: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    pub authorization_url: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub token_url: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub userinfo_url: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub jwks_uri: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: Timestamp,
}

impl CustomProvider {
    /// What every identifier begins with.
    pub const PREFIX: &str = "custom:";

    /// Whether there may be one of this identifier. (Postgres takes no NUL.)
    #[must_use]
    pub fn may_be_called(identifier: &str) -> bool {
        identifier.starts_with(Self::PREFIX) && !identifier.contains('\0')
    }

    /// One that says nothing yet.
    #[must_use]
    pub fn new(kind: ProviderType, identifier: &str, now: Timestamp) -> Self {
        Self {
            id: Uuid::new_v4(),
            provider_type: kind.as_str().to_owned(),
            identifier: identifier.to_owned(),
            name: String::new(),
            client_id: String::new(),
            client_secret: String::new(),
            acceptable_client_ids: Vec::new(),
            scopes: Vec::new(),
            pkce_enabled: true,
            attribute_mapping: Value::Object(Map::new()),
            custom_claims_allowlist: Vec::new(),
            authorization_params: Value::Object(Map::new()),
            enabled: true,
            email_optional: false,
            issuer: None,
            discovery_url: None,
            skip_nonce_check: false,
            cached_discovery: None,
            discovery_cached_at: None,
            authorization_url: None,
            token_url: None,
            userinfo_url: None,
            jwks_uri: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// How it is asked who somebody is.
    #[must_use]
    pub fn kind(&self) -> ProviderType {
        ProviderType::parse(&self.provider_type).unwrap_or(ProviderType::Oauth2)
    }

    /// Does it speak OpenID Connect?
    #[must_use]
    pub fn is_oidc(&self) -> bool {
        self.kind() == ProviderType::Oidc
    }

    /// Where the issuer describes itself; none for plain OAuth.
    #[must_use]
    pub fn discovery_url(&self) -> Option<String> {
        let issuer = self.issuer.as_deref().filter(|_| self.is_oidc())?;
        Some(match self.discovery_url.as_deref() {
            Some(url) if !url.is_empty() => url.to_owned(),
            _ => format!(
                "{}/.well-known/openid-configuration",
                issuer.trim_end_matches('/')
            ),
        })
    }

    /// The URLs that stand in the row.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        [
            &self.issuer,
            &self.discovery_url,
            &self.authorization_url,
            &self.token_url,
            &self.userinfo_url,
            &self.jwks_uri,
        ]
        .into_iter()
        .filter_map(Option::as_deref)
    }
}

/// The columns, in the order of the struct.
macro_rules! columns {
    () => {
        "id, provider_type, identifier, name, client_id, client_secret, acceptable_client_ids, scopes, pkce_enabled, \
         attribute_mapping, custom_claims_allowlist, authorization_params, enabled, email_optional, issuer, discovery_url, \
         skip_nonce_check, cached_discovery, discovery_cached_at, authorization_url, token_url, userinfo_url, jwks_uri, \
         created_at, updated_at"
    };
}

impl CustomProvider {
    /// A provider by its identifier.
    pub async fn find(mut conn: &Conn, identifier: &str) -> QueryResult<Option<Self>> {
        statement(concat!(
            "select ",
            columns!(),
            " from custom_oauth_providers where identifier = $1"
        ))
        .bind::<Text, _>(identifier)
        .get_result(&mut conn)
        .await
        .optional()
    }

    /// The same, locked until the transaction ends.
    pub async fn lock(conn: &mut Conn, identifier: &str) -> QueryResult<Option<Self>> {
        statement(concat!(
            "select ",
            columns!(),
            " from custom_oauth_providers where identifier = $1 for update"
        ))
        .bind::<Text, _>(identifier)
        .get_result(conn)
        .await
        .optional()
    }

    /// All providers, newest first.
    pub async fn all(conn: &mut Conn) -> QueryResult<Vec<Self>> {
        statement(concat!(
            "select ",
            columns!(),
            " from custom_oauth_providers order by created_at desc, id"
        ))
        .load(conn)
        .await
    }

    /// The providers of one type, oldest first (GoTrue sorts them by their type alone).
    pub async fn of_type(conn: &mut Conn, kind: ProviderType) -> QueryResult<Vec<Self>> {
        statement(concat!(
            "select ",
            columns!(),
            " from custom_oauth_providers where provider_type = $1 order by created_at, id"
        ))
        .bind::<Text, _>(kind.as_str())
        .load(conn)
        .await
    }

    /// Until the transaction ends nobody else adds or changes one.
    pub async fn lock_table(conn: &mut Conn) -> QueryResult<()> {
        statement("lock table custom_oauth_providers in share row exclusive mode")
            .execute(conn)
            .await
            .map(drop)
    }

    /// How many there are.
    pub async fn count(conn: &mut Conn) -> QueryResult<i64> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let Row { count } = statement("select count(*) from custom_oauth_providers")
            .get_result(conn)
            .await?;
        Ok(count)
    }

    /// Writes the new row. False when the identifier is taken.
    pub async fn insert(&self, conn: &mut Conn) -> QueryResult<bool> {
        self.write(
            conn,
            concat!(
                "insert into custom_oauth_providers (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) on conflict (identifier) do nothing"
            ),
        )
        .await
    }

    /// Writes the row as it is now. False when it has gone.
    pub async fn update(&self, conn: &mut Conn) -> QueryResult<bool> {
        self.write(
            conn,
            concat!(
                "update custom_oauth_providers set (",
                columns!(),
                ") = ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
                 $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) where id = $1"
            ),
        )
        .await
    }

    async fn write(&self, conn: &mut Conn, sql: &'static str) -> QueryResult<bool> {
        statement(sql)
            .bind::<SqlUuid, _>(self.id)
            .bind::<Text, _>(&self.provider_type)
            .bind::<Text, _>(&self.identifier)
            .bind::<Text, _>(&self.name)
            .bind::<Text, _>(&self.client_id)
            .bind::<Text, _>(&self.client_secret)
            .bind::<Array<Text>, _>(&self.acceptable_client_ids)
            .bind::<Array<Text>, _>(&self.scopes)
            .bind::<Bool, _>(self.pkce_enabled)
            .bind::<Jsonb, _>(&self.attribute_mapping)
            .bind::<Array<Text>, _>(&self.custom_claims_allowlist)
            .bind::<Jsonb, _>(&self.authorization_params)
            .bind::<Bool, _>(self.enabled)
            .bind::<Bool, _>(self.email_optional)
            .bind::<Nullable<Text>, _>(&self.issuer)
            .bind::<Nullable<Text>, _>(&self.discovery_url)
            .bind::<Bool, _>(self.skip_nonce_check)
            .bind::<Nullable<Jsonb>, _>(&self.cached_discovery)
            .bind::<Nullable<Timestamptz>, _>(self.discovery_cached_at)
            .bind::<Nullable<Text>, _>(&self.authorization_url)
            .bind::<Nullable<Text>, _>(&self.token_url)
            .bind::<Nullable<Text>, _>(&self.userinfo_url)
            .bind::<Nullable<Text>, _>(&self.jwks_uri)
            .bind::<Timestamptz, _>(self.created_at)
            .bind::<Timestamptz, _>(self.updated_at)
            .execute(conn)
            .await
            .map(|rows| rows > 0)
    }

    /// Removes a provider; its users keep their identities. False when there is none of this identifier.
    pub async fn delete(conn: &mut Conn, identifier: &str) -> QueryResult<bool> {
        statement("delete from custom_oauth_providers where identifier = $1")
            .bind::<Text, _>(identifier)
            .execute(conn)
            .await
            .map(|rows| rows > 0)
    }
}
