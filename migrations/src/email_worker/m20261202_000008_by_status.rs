//! An index of deliveries by status, from which the newest come first, for whoever asks what failed or what waits.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_status";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// No transaction: `CREATE INDEX CONCURRENTLY` refuses to run in one. Deliveries go on while it builds.
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
