//! Finds the newest deliveries that stand so: for whoever asks what failed, or what waits.

use sea_orm_migration::prelude::*;

use crate::indexes;

/// The index.
const NAME: &str = "deliveries_status";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CONCURRENTLY` takes none: deliveries go on meanwhile.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::build(schema, NAME, "deliveries (status, id)").await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::drop(schema, NAME, "deliveries").await
    }
}
