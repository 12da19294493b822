//! An index of deliveries by their provider's id of the message, for what providers tell later.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_message";
const ON: &str = "deliveries (provider_message_id) WHERE provider_message_id IS NOT NULL";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// No transaction: `CREATE INDEX CONCURRENTLY` refuses to run in one. Deliveries go on while it builds.
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
