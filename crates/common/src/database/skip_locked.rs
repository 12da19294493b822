//! How rows are chosen by several at a time, without waiting for each other.

use sea_orm::DbBackend;

/// The end of a `SELECT` that locks its rows for its transaction and passes over those that somebody else has locked. A row
/// is asked the condition again as it is when it is locked. Empty for SQLite, where nobody else writes meanwhile.
pub fn skip_locked(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "FOR UPDATE SKIP LOCKED",
        _ => "",
    }
}
