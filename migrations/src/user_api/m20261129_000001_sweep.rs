//! What the sweep of expired sessions needs: an order by age, and fencing numbers. Expand only.

use sea_orm_migration::prelude::*;

use crate::shared::{drop_tables, index};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        index(schema, "sessions", "sessions_last_seen", &["last_seen_at"]).await?;
        schema.create_table(fences()).await
    }

    async fn down(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(schema, &["fences"]).await?;
        let index = Index::drop().name("sessions_last_seen").table("sessions").to_owned();
        schema.drop_index(index).await
    }
}

/// For each lock the highest fencing number that a holder of it was given.
fn fences() -> TableCreateStatement {
    Table::create()
        .table("fences")
        .col(ColumnDef::new("name").text().not_null().primary_key())
        .col(ColumnDef::new("number").big_integer().not_null())
        .to_owned()
}
