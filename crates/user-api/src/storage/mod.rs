//! The tables of this service, and every statement on them.
//!
//! Functions over `&impl ConnectionTrait`, so that the transaction is the caller's. They know no HTTP
//! and no rule: not found is `Ok(None)`, a broken unique key is a variant of its own.

use sea_orm::{ConnectionTrait, DbBackend};
use tracing::Span;

pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod users;

/// The span of one statement, named by the semantic conventions.
fn statement(db: &impl ConnectionTrait, operation: &'static str, table: &'static str) -> Span {
    let system = match db.get_database_backend() {
        DbBackend::Sqlite => "sqlite",
        _ => "postgresql",
    };
    tracing::info_span!(
        "statement",
        otel.name = %format_args!("{operation} {table}"),
        otel.kind = "client",
        db.system.name = system,
        db.operation.name = operation,
        db.collection.name = table,
    )
}
