//! Finds a delivery by what its provider calls the message: for what providers tell later.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_message";
const ON: &str = "deliveries (provider_message_id) WHERE provider_message_id IS NOT NULL";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CONCURRENTLY` takes none: deliveries go on meanwhile.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::build(schema, NAME, ON).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::drop(schema, NAME, "deliveries").await
    }
}
