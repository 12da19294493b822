//! What an error of the database says: whether it passes, and whether the data is at fault.

use std::borrow::Cow;
use std::error::Error;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

use crate::tls;

/// SQLite's primary result codes for a database that somebody else writes to.
const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;
/// SQLite's primary result codes for data that it refuses.
const SQLITE_TOO_BIG: i64 = 18;
const SQLITE_CONSTRAINT: i64 = 19;
const SQLITE_MISMATCH: i64 = 20;

/// PostgreSQL has as many connections as it takes.
const TOO_MANY_CONNECTIONS: &str = "53300";
const NO_PLACE: &str = "every connection of the server is taken: raise its max_connections, or lower \
    database.max_connections of the services, each of which holds a few more";

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
    database_error_within(error).is_some_and(is_transient)
}

/// What is to be done about a database that can't be connected to, where that is known.
pub fn cure(error: &DbErr) -> Option<&'static str> {
    let DbErr::Conn(RuntimeErr::SqlxError(refusal)) = error else {
        return None;
    };
    if code(error).is_some_and(|code| code == TOO_MANY_CONNECTIONS) {
        return Some(NO_PLACE);
    }
    // A server without TLS says so before any is spoken; of this the client has no more than words.
    let is_refused = matches!(&**refusal, SqlxError::Tls(words) if words.to_string().contains("does not support TLS"));
    tls::cure(&**refusal).or_else(|| is_refused.then_some(tls::NO_TLS))
}

/// The code that the database itself gave, where it answered at all: PostgreSQL's five places, SQLite's number.
pub(super) fn code(error: &DbErr) -> Option<Cow<'_, str>> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error.as_database_error().and_then(DatabaseError::code),
        _ => None,
    }
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

/// Whether the database itself is in trouble: away, locked, full, closed to us, without a table or a right.
///
/// Then the same work succeeds when it is well again, whatever the data. Not true for what the data brings about
/// (classes 21, 22, 23, 44, 54, a trigger's refusal; SQLite's constraints), nor for what was made of an answer.
pub fn is_in_trouble(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Database(error) => error.code().is_none_or(|code| !is_about_data(&code)),
            SqlxError::Encode(_) | SqlxError::Decode(_) | SqlxError::ColumnDecode { .. } | SqlxError::RowNotFound => {
                false
            }
            _ => true,
        },
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) | DbErr::Exec(_) | DbErr::Query(_) => true,
        _ => false,
    }
}

/// Whether a database's error lies among the causes of this one, and [`is_in_trouble`] holds for it.
pub fn is_in_trouble_within(error: &(dyn Error + 'static)) -> bool {
    database_error_within(error).is_some_and(is_in_trouble)
}

fn database_error_within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DbErr> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<DbErr>() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

fn is_about_data(code: &str) -> bool {
    let of_sqlite =
        sqlite_primary(code).is_some_and(|code| matches!(code, SQLITE_TOO_BIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH));
    let class = |class: &&str| code.len() == 5 && code.starts_with(*class);
    of_sqlite || code == "P0001" || ["21", "22", "23", "44", "54"].iter().any(class)
}

/// SQLite's primary result code, out of an extended one; PostgreSQL's codes have five places.
fn sqlite_primary(code: &str) -> Option<i64> {
    let number: i64 = code.parse().ok()?;
    (code.len() < 5).then_some(number & 0xff)
}

fn is_transient_code(code: &str) -> bool {
    let sqlite_busy = sqlite_primary(code).is_some_and(|code| matches!(code, SQLITE_BUSY | SQLITE_LOCKED));
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

    #[test]
    fn what_the_data_brings_about_is_told_from_the_databases_trouble() {
        for code in ["22021", "23505", "23514", "54000", "P0001", "2067", "787", "20", "18"] {
            assert!(is_about_data(code), "{code}");
        }
        // Away, locked, full, no right, no table; SQLite: error, busy, read-only, I/O, full, can't open.
        for code in [
            "57P01", "55P03", "53100", "42501", "42P01", "28P01", "3D000", "1", "5", "8", "522", "13", "14",
        ] {
            assert!(!is_about_data(code), "{code}");
        }
        assert!(is_in_trouble(&DbErr::Conn(RuntimeErr::Internal("no answer".into()))));
        assert!(!is_in_trouble(&DbErr::RecordNotFound("recipient".into())));
    }
}
