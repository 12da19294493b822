//! What an error of the database says: whether it passes, and whether the data is at fault.

use std::error::Error;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// SQLite's primary result codes for a database that somebody else writes to.
const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;

/// Whether the same statement may succeed when it is tried again.
///
/// True for a lost or refused connection (class 08, 57P01 to 57P03, I/O, pool exhausted), a
/// statement that timed out (57014), a conflict of transactions (40001, 40P01), a primary that
/// became a standby (25006), a full server (class 53), a plan for a table that was altered since, and a busy
/// SQLite file. The server's own time limits on a transaction (25P03, 25P04) and an idle session (57P05) as well.
pub fn is_transient(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Io(_) | SqlxError::PoolTimedOut | SqlxError::PoolClosed | SqlxError::Tls(_) => true,
            SqlxError::Database(database) => {
                database.code().is_some_and(|code| is_transient_code(&code)) || is_outdated(&**database)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether a database's error lies among the causes of this one, and [`is_transient`] holds for it.
pub fn is_transient_within(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<DbErr>() {
            return is_transient(error);
        }
        cause = error.source();
    }
    false
}

/// Whether a connection holds a plan of the statement for a table that was altered since (0A000 of PostgreSQL).
///
/// The next connection, or this one once it has forgotten its plans, answers.
pub(super) fn is_outdated_plan(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Database(error) => is_outdated(&**error),
            _ => false,
        },
        _ => false,
    }
}

fn is_outdated(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "0A000") && error.message().starts_with("cached plan")
}

/// Whether the database can't hold what it was given (class 22: a NUL in text, a number out of range).
///
/// The same data is refused again, however often it is tried.
pub fn is_data_refused(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Database(error) => error
                .code()
                .is_some_and(|code| code.len() == 5 && code.starts_with("22")),
            _ => false,
        },
        _ => false,
    }
}

fn is_transient_code(code: &str) -> bool {
    let sqlite_busy = code
        .parse::<i64>()
        .is_ok_and(|code| code.to_string().len() < 5 && matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED));
    sqlite_busy
        || matches!(
            code,
            "57P01" | "57P02" | "57P03" | "57P05" | "57014" | "40001" | "40P01" | "25006" | "25P03" | "25P04"
        )
        || (code.len() == 5 && (code.starts_with("08") || code.starts_with("53")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for code in ["57P01", "08006", "40001", "25006", "53300", "5", "517"] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["23505", "42P01", "2067", "22001", "1"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
