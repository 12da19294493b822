//! Finds a delivery by what its provider calls the message: for what providers tell later.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

const PART: &str = "ON deliveries (provider_message_id) WHERE provider_message_id IS NOT NULL";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CONCURRENTLY` takes none: deliveries go on meanwhile.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let connection = schema.get_connection();
        if connection.get_database_backend() != DbBackend::Postgres {
            let create = format!("CREATE INDEX deliveries_message {PART}");
            connection.execute_unprepared(&create).await?;
            return Ok(());
        }
        connection.execute_unprepared("SET lock_timeout = 0").await?;
        // One that was left behind, unusable, by a migration that was broken off.
        connection
            .execute_unprepared("DROP INDEX CONCURRENTLY IF EXISTS deliveries_message")
            .await?;
        let create = format!("CREATE INDEX CONCURRENTLY deliveries_message {PART}");
        connection.execute_unprepared(&create).await?;
        Ok(())
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("deliveries_message").table("deliveries").to_owned();
        schema.drop_index(index).await
    }
}
