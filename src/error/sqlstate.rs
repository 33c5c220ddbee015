//! The SQLSTATE of a database error: Diesel has a kind for some, and `db/connect/wire.rs` passes on the rest.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The SQLSTATE, if it is known. diesel-async keeps what Diesel has a kind for; of other errors the connection
/// brings it as the name of a column, which such errors do not have.
#[must_use]
pub fn sqlstate(error: &DieselError) -> Option<&str> {
    let DieselError::DatabaseError(kind, info) = error else {
        return None;
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::RestrictViolation => Some("23001"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::ExclusionViolation => Some("23P01"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        DatabaseErrorKind::Unknown => {
            let code = info.column_name()?.trim_end();
            let fits = |c: u8| c.is_ascii_digit() || c.is_ascii_uppercase();
            (code.len() == 5 && code.bytes().all(fits)).then_some(code)
        }
        _ => None,
    }
}

/// Whether Postgres says that it is not there for us now: it stops, starts, or has no connection left.
pub(super) fn is_away(error: &DieselError) -> bool {
    sqlstate(error).is_some_and(|code| {
        code.starts_with("08") || matches!(code, "53300" | "57P01" | "57P02" | "57P03")
    })
}

/// Whether a value does not fit into an index, such as a `user_metadata.name` of over 2,700 bytes.
pub(super) fn is_too_long(error: &DieselError) -> bool {
    sqlstate(error) == Some("54000")
}

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorInformation;

    use super::*;

    struct Information(&'static str);

    impl DatabaseErrorInformation for Information {
        fn message(&self) -> &'static str {
            "message"
        }
        fn details(&self) -> Option<&str> {
            None
        }
        fn hint(&self) -> Option<&str> {
            None
        }
        fn table_name(&self) -> Option<&str> {
            None
        }
        fn column_name(&self) -> Option<&str> {
            Some(self.0)
        }
        fn constraint_name(&self) -> Option<&str> {
            None
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn error(kind: DatabaseErrorKind, column: &'static str) -> DieselError {
        DieselError::DatabaseError(kind, Box::new(Information(column)))
    }

    #[test]
    fn kinds_come_first_then_the_column() {
        use DatabaseErrorKind::{NotNullViolation, UnableToSendCommand, Unknown};
        assert_eq!(sqlstate(&error(NotNullViolation, "email")), Some("23502"));
        assert_eq!(sqlstate(&error(Unknown, "PT403          ")), Some("PT403"));
        for column in ["email", "PT40", "PT4033", "p0001", ""] {
            assert_eq!(sqlstate(&error(Unknown, column)), None);
        }
        assert_eq!(sqlstate(&error(UnableToSendCommand, "P0001")), None);
        assert_eq!(sqlstate(&DieselError::NotFound), None);
        assert!(is_away(&error(Unknown, "57P01")) && !is_away(&error(Unknown, "P0001")));
    }
}
