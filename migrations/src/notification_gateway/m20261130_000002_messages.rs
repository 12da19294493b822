//! Finds a delivery by what its provider calls the message: for what providers tell later.

use sea_orm_migration::prelude::*;

use crate::shared::index;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        index(schema, "deliveries", "deliveries_message", &["provider_message_id"]).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("deliveries_message").table("deliveries").to_owned();
        schema.drop_index(index).await
    }
}
