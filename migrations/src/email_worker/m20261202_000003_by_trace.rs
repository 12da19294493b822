//! An index of deliveries by the trace id in their traceparent, for whoever asks what a trace sent.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_trace";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// No transaction: `CREATE INDEX CONCURRENTLY` refuses to run in one. Deliveries go on while it builds.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::build(schema, NAME, "deliveries (substr(traceparent, 4, 32))").await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        indexes::drop(schema, NAME, "deliveries").await
    }
}
