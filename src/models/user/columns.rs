//! `jsonb` columns as Rust values.

use diesel::deserialize::FromSqlRow;
use diesel::sql_types::{Jsonb, Nullable};
use serde_json::{Map, Value};

use crate::models::identity::object;

/// A `jsonb` column that holds an object; anything else reads as empty.
#[derive(FromSqlRow)]
pub(in crate::models) struct JsonObject(Map<String, Value>);

impl diesel::deserialize::FromSql<Jsonb, diesel::pg::Pg> for JsonObject {
    fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let value =
            <Value as diesel::deserialize::FromSql<Jsonb, diesel::pg::Pg>>::from_sql(bytes)?;
        Ok(Self(object(value)))
    }
}

impl From<JsonObject> for Map<String, Value> {
    fn from(JsonObject(map): JsonObject) -> Self {
        map
    }
}

/// Rows of another table, aggregated into one `jsonb` column; NULL when there are none.
#[derive(FromSqlRow)]
pub(in crate::models) struct JsonRows<T>(Vec<T>);

impl<T: serde::de::DeserializeOwned> diesel::deserialize::FromSql<Nullable<Jsonb>, diesel::pg::Pg>
    for JsonRows<T>
{
    fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
        // The first byte is the version of the binary jsonb format.
        match bytes.as_bytes().split_first() {
            Some((1, json)) => Ok(Self(serde_json::from_slice(json)?)),
            _ => Err("not a jsonb value".into()),
        }
    }

    fn from_nullable_sql(
        bytes: Option<diesel::pg::PgValue<'_>>,
    ) -> diesel::deserialize::Result<Self> {
        bytes.map_or_else(
            || Ok(Self(Vec::new())),
            <Self as diesel::deserialize::FromSql<Nullable<Jsonb>, diesel::pg::Pg>>::from_sql,
        )
    }
}

impl<T> From<JsonRows<T>> for Vec<T> {
    fn from(JsonRows(rows): JsonRows<T>) -> Self {
        rows
    }
}
