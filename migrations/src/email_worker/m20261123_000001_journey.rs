//! The first tables of email-worker.

use sea_orm_migration::prelude::*;

use crate::shared::{create_deliveries, create_inbox, create_outbox, drop_tables};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        create_inbox(schema).await?;
        create_deliveries(schema).await?;
        create_outbox(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(schema, &["outbox", "deliveries", "inbox"]).await
    }
}
