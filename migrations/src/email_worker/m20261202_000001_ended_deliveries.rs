//! Finds deliveries that have ended by their age, to delete them. Expand only: an older version works on.

use sea_orm_migration::prelude::*;

use crate::ended;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        ended::create(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        ended::drop(schema).await
    }
}
