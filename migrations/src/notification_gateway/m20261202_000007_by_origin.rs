//! Finds the copies that operators ordered by the event that asked for the first.

use sea_orm_migration::prelude::*;

use crate::indexes;

/// The index.
const NAME: &str = "deliveries_origin";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CONCURRENTLY` takes none: deliveries go on meanwhile.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::build(
            schema,
            NAME,
            "deliveries (origin_event_id) WHERE origin_event_id IS NOT NULL",
        )
        .await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::drop(schema, NAME, "deliveries").await
    }
}
