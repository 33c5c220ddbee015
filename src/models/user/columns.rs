//! JSON columns as Rust values.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{Json, Jsonb, Nullable};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::json::object;

/// A `jsonb` column that holds an object; anything else reads as empty.
#[derive(FromSqlRow)]
pub(in crate::models) struct JsonObject(Map<String, Value>);

impl FromSql<Jsonb, Pg> for JsonObject {
    fn from_sql(column: PgValue<'_>) -> deserialize::Result<Self> {
        <Value as FromSql<Jsonb, Pg>>::from_sql(column).map(|value| Self(object(value)))
    }
}

impl From<JsonObject> for Map<String, Value> {
    fn from(JsonObject(map): JsonObject) -> Self {
        map
    }
}

/// Rows of another table, aggregated into one `json` column: an array of arrays, which hold the fields of `T` in their
/// order. NULL when there are none.
#[derive(FromSqlRow)]
pub(in crate::models) struct JsonRows<T>(Vec<T>);

impl<T: DeserializeOwned> FromSql<Nullable<Json>, Pg> for JsonRows<T> {
    fn from_sql(column: PgValue<'_>) -> deserialize::Result<Self> {
        from_json(&column).map(Self)
    }

    fn from_nullable_sql(column: Option<PgValue<'_>>) -> deserialize::Result<Self> {
        column.map_or_else(|| Ok(Self(Vec::new())), Self::from_sql)
    }
}

impl<T> From<JsonRows<T>> for Vec<T> {
    fn from(JsonRows(rows): JsonRows<T>) -> Self {
        rows
    }
}

/// Reads a row of another table from a `json` column: an array with the fields of `T` in their order.
pub(in crate::models) fn from_json<T: DeserializeOwned>(
    column: &PgValue<'_>,
) -> deserialize::Result<T> {
    Ok(serde_json::from_slice(column.as_bytes())?)
}
