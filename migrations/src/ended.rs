//! An index of deliveries that have ended, in the order in which they may be deleted.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Those that still have work to do are not in it.
const PART: &str = "ON deliveries (updated_at) WHERE status IN ('accepted', 'delivered', 'failed', 'suppressed', 'expired', 'cancelled')";

/// Takes no transaction, which `CONCURRENTLY` wants: deliveries go on meanwhile.
pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = schema.get_connection();
    if connection.get_database_backend() != DbBackend::Postgres {
        let create = format!("CREATE INDEX deliveries_ended {PART}");
        connection.execute_unprepared(&create).await?;
        return Ok(());
    }
    connection.execute_unprepared("SET lock_timeout = 0").await?;
    // One that was left behind, unusable, by a migration that was broken off.
    connection
        .execute_unprepared("DROP INDEX CONCURRENTLY IF EXISTS deliveries_ended")
        .await?;
    let create = format!("CREATE INDEX CONCURRENTLY deliveries_ended {PART}");
    connection.execute_unprepared(&create).await?;
    connection.execute_unprepared("SET lock_timeout = '1s'").await?;
    Ok(())
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let index = Index::drop().name("deliveries_ended").table("deliveries").to_owned();
    schema.drop_index(index).await
}
