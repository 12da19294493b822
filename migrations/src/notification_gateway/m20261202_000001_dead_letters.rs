//! What was set aside where the broker is in memory: expand only, an older version works on.

use sea_orm_migration::prelude::*;

use crate::dead_letters;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        dead_letters::create(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        dead_letters::drop(schema).await
    }
}
