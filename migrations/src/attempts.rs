//! The table `delivery_attempts`, one shape in every service that sends.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::{drop_tables, index};

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("delivery_attempts")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("delivery_id").uuid().not_null())
        .col(ColumnDef::new("attempt").integer().not_null())
        .col(ColumnDef::new("at").big_integer().not_null())
        .col(ColumnDef::new("provider").text().not_null())
        .col(ColumnDef::new("status").text().not_null())
        .col(ColumnDef::new("answer").text())
        .to_owned();
    schema.create_table(table).await?;
    // Attempts are read delivery by delivery, in the order in which they came.
    index(
        schema,
        "delivery_attempts",
        "delivery_attempts_of",
        &["delivery_id", "id"],
    )
    .await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["delivery_attempts"]).await
}
