//! Finds what is due of each destination: for claims beside one that is held.

use sea_orm_migration::prelude::*;

use crate::by_whole;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CONCURRENTLY` takes none: deliveries go on meanwhile.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        by_whole::create(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        by_whole::drop(schema).await
    }
}
