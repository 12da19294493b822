//! Finds the copies that operators ordered by the event that asked for the first.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_origin";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// No transaction: `CREATE INDEX CONCURRENTLY` refuses to run in one. Deliveries go on while it builds.
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
