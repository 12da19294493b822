//! Who holds a delivery's lease: expand only, an older version works on.

use sea_orm_migration::prelude::*;

use crate::shared::{add_lease_holder, drop_lease_holder};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        add_lease_holder(schema).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        drop_lease_holder(schema).await
    }
}
