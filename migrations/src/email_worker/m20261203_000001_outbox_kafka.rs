//! What waits for Kafka, where that outlet is on: expand only, an older version works on.

use sea_orm_migration::prelude::*;

use crate::outbox_kafka;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        outbox_kafka::create(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        outbox_kafka::drop(schema).await
    }
}
