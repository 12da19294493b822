//! The table `outbox_kafka`, one shape in every service: the outbox once more, for the relay to Kafka.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::{drop_tables, index};

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("outbox_kafka")
        .col(
            ColumnDef::new("id")
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new("aggregate").uuid().not_null())
        .col(ColumnDef::new("message_id").uuid().not_null().unique_key())
        .col(ColumnDef::new("type").text().not_null())
        .col(ColumnDef::new("headers").json_binary().not_null())
        .col(ColumnDef::new("body").binary().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .to_owned();
    schema.create_table(table).await?;
    // What waits for longer than it may is pruned by age.
    index(schema, "outbox_kafka", "outbox_kafka_created_at", &["created_at"]).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["outbox_kafka"]).await
}
