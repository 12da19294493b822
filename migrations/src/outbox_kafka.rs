//! The table `outbox_kafka`, one shape in every service: a second outbox, for the relay to Kafka.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::{create_outbox_as, drop_tables, index};

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_outbox_as(schema, "outbox_kafka").await?;
    // Rows that have waited for too long are pruned by age.
    index(schema, "outbox_kafka", "outbox_kafka_created_at", &["created_at"]).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["outbox_kafka"]).await
}
