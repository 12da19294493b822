//! An index of what is due of each whole destination, for claims while other destinations are held.

use sea_orm_migration::prelude::*;

use crate::by_whole;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// No transaction: `CREATE INDEX CONCURRENTLY` refuses to run in one. Deliveries go on while it builds.
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
