//! Indexes on tables that are in use: built while everybody reads and writes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

/// Builds an index; `on` is its table and columns: `deliveries (channel)`. It needs a migration without a transaction
/// that does nothing else.
///
/// Over an empty table, as at the first start, the index is made at once: `CONCURRENTLY` costs several commits.
pub(crate) async fn build(schema: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    let connection = schema.get_connection();
    let backend = connection.get_database_backend();
    let table = on.split(' ').next().unwrap_or_default();
    let any = Statement::from_string(backend, format!("SELECT 1 FROM {table} LIMIT 1"));
    if backend != DbBackend::Postgres || connection.query_one_raw(any).await?.is_none() {
        let create = format!("DROP INDEX IF EXISTS {name}; CREATE INDEX {name} ON {on}");
        connection.execute_unprepared(&create).await?;
        return Ok(());
    }
    connection.execute_unprepared("SET lock_timeout = 0").await?;
    // A migration that was broken off leaves an index of this name behind that can't be used.
    let left = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
    connection.execute_unprepared(&left).await?;
    let create = format!("CREATE INDEX CONCURRENTLY {name} ON {on}");
    connection.execute_unprepared(&create).await?;
    connection.execute_unprepared("SET lock_timeout = '1s'").await?;
    Ok(())
}

/// Takes an index away.
pub(crate) async fn drop(schema: &SchemaManager<'_>, name: &'static str, table: &'static str) -> Result<(), DbErr> {
    let index = Index::drop().name(name).table(table).to_owned();
    schema.drop_index(index).await
}
