//! The type and the trace of each event that was taken in: expand only, an older version works on.

use sea_orm_migration::prelude::*;

use crate::operated;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        operated::add_inbox_types(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        operated::drop_inbox_types(schema).await
    }
}
