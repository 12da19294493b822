//! Destinations that an operator holds: a table that an older version does not know.

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
        operated::create_holds(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        operated::drop_holds(schema).await
    }
}
