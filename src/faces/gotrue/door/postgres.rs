//! Postgres errors that GoTrue passes through to the caller (its `utilities/postgres.go`).
//!
//! This is how a trigger on `auth.users` talks to the application: `RAISE EXCEPTION`, or SQLSTATE
//! `PT403` for a status of its own.

use axum::http::StatusCode;
use diesel::result::Error as DieselError;
use serde::Serialize;
use tokio_postgres::error::DbError;

use crate::error::sqlstate;

/// A Postgres error as the caller sees it.
#[derive(Debug, Serialize)]
pub(super) struct Passed {
    #[serde(skip)]
    pub(super) status: StatusCode,
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The Postgres error among these causes, if it is one that callers may see.
pub(super) fn passthrough(cause: &anyhow::Error) -> Option<Passed> {
    cause.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<DbError>() {
            return passed(
                error.code().code(),
                error.message(),
                error.hint(),
                error.detail(),
            );
        }
        let error = cause.downcast_ref::<DieselError>()?;
        let DieselError::DatabaseError(_, info) = error else {
            return None;
        };
        passed(
            sqlstate(error)?,
            info.message(),
            info.hint(),
            info.details(),
        )
    })
}

fn passed(code: &str, message: &str, hint: Option<&str>, detail: Option<&str>) -> Option<Passed> {
    Some(Passed {
        status: status(code)?,
        code: code.to_owned(),
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
        detail: detail.filter(|_| !quotes_the_row(code)).map(str::to_owned),
    })
}

/// The detail of these is `Failing row contains (..)`: password hashes and client secrets among the values.
/// GoTrue passes it on; we do not.
fn quotes_the_row(code: &str) -> bool {
    matches!(code, "23502" | "23514")
}

fn status(code: &str) -> Option<StatusCode> {
    if let Some(digits) = code.strip_prefix("PT") {
        let status = StatusCode::from_u16(digits.parse().ok()?).ok()?;
        // An informational status is no answer.
        return (!status.is_informational()).then_some(status);
    }
    matches!(
        code,
        "P0001" | "23000" | "23001" | "23502" | "23503" | "23505" | "23514" | "23P01"
    )
    .then_some(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_states_pass() {
        assert_eq!(status("P0001"), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(status("PT403"), Some(StatusCode::FORBIDDEN));
        assert_eq!(status("PT999").map(|status| status.as_u16()), Some(999));
        for other in ["42P01", "PT", "PTabc", "PT001", "PT100", "40001", ""] {
            assert_eq!(status(other), None, "{other}");
        }
    }

    #[test]
    fn a_failing_row_is_not_shown() {
        let shown = passed(
            "23505",
            "duplicate key",
            None,
            Some("Key (email)=(a@b.c) already exists."),
        )
        .unwrap();
        assert!(shown.detail.is_some());
        let hidden = passed(
            "23514",
            "violates check",
            None,
            Some("Failing row contains (secret)."),
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&hidden).unwrap(),
            r#"{"code":"23514","message":"violates check"}"#
        );
    }
}
