//! The table `operations_audit`, one shape in every service.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::drop_tables;

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("operations_audit")
        // A UUID of version 7, which grows with time: pages are read by it, the newest first.
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("at").big_integer().not_null())
        .col(ColumnDef::new("who").text().not_null())
        .col(ColumnDef::new("action").text().not_null())
        .col(ColumnDef::new("target").text().not_null())
        .col(ColumnDef::new("reason").text().not_null())
        .col(ColumnDef::new("details").json_binary())
        .col(ColumnDef::new("trace_id").text().not_null())
        .to_owned();
    schema.create_table(table).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["operations_audit"]).await
}
