//! The span of a statement.

use sea_orm::{ConnectionTrait, DbBackend};
use tracing::Span;

/// The span of one statement, named by the semantic conventions.
pub(super) fn statement(db: &impl ConnectionTrait, operation: &'static str, table: &'static str) -> Span {
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
