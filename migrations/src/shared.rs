//! Tables of one shape in several services: outbox, inbox, deliveries.
//!
//! Frozen: migrations that ran on somebody's database are made of these functions, and a migration that ran never changes.
//! Another shape is a new function, with a new migration in each service.
//!
//! Times are microseconds UTC in a BIGINT: they sort and compare alike on both databases.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

pub(crate) async fn create_outbox(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_outbox_as(schema, "outbox").await
}

/// Creates an outbox of this name: a service has one for each relay.
pub(crate) async fn create_outbox_as(schema: &SchemaManager<'_>, name: &'static str) -> Result<(), DbErr> {
    let table = Table::create()
        .table(name)
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
    schema.create_table(table).await
}

pub(crate) async fn create_inbox(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("inbox")
        .col(ColumnDef::new("consumer").text().not_null())
        .col(ColumnDef::new("message_id").uuid().not_null())
        .col(ColumnDef::new("received_at").big_integer().not_null())
        .primary_key(Index::create().col("consumer").col("message_id"))
        .to_owned();
    schema.create_table(table).await?;
    // Rows are pruned by age, once no message can come a second time.
    index(schema, "inbox", "inbox_received_at", &["received_at"]).await
}

pub(crate) async fn create_deliveries(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("deliveries")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("source_event_id").uuid().not_null())
        .col(ColumnDef::new("channel").text().not_null())
        .col(ColumnDef::new("recipient").text().not_null())
        .col(ColumnDef::new("destination").text().not_null())
        .col(ColumnDef::new("status").text().not_null())
        .col(ColumnDef::new("reason").text())
        .col(ColumnDef::new("attempts").integer().not_null().default(0))
        .col(ColumnDef::new("next_attempt_at").big_integer().not_null())
        .col(ColumnDef::new("lease_until").big_integer())
        .col(ColumnDef::new("lease_number").big_integer().not_null().default(0))
        .col(ColumnDef::new("expires_at").big_integer())
        .col(ColumnDef::new("priority").integer().not_null().default(0))
        .col(ColumnDef::new("traceparent").text())
        .col(ColumnDef::new("tracestate").text())
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("last_error").text())
        .col(ColumnDef::new("provider").text())
        .col(ColumnDef::new("provider_message_id").text())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .to_owned();
    schema.create_table(table).await?;
    let unique = Index::create()
        .name("deliveries_once")
        .table("deliveries")
        .col("source_event_id")
        .col("channel")
        .col("recipient")
        .unique()
        .to_owned();
    schema.create_index(unique).await?;
    // The order of a claim: with 300,000 rows due, a claim reads 512 of them by this index instead of sorting all.
    let due = Index::create()
        .name("deliveries_due")
        .table("deliveries")
        .col("status")
        .col(("priority", IndexOrder::Desc))
        .col("next_attempt_at")
        .to_owned();
    schema.create_index(due).await?;
    index(schema, "deliveries", "deliveries_leases", &["status", "lease_until"]).await
}

/// The dispatcher that has a delivery in hand. It finds claims whose answer got lost, and others see whose they are.
pub(crate) async fn add_lease_holder(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::alter()
        .table("deliveries")
        .add_column(ColumnDef::new("lease_holder").uuid())
        .to_owned();
    schema.alter_table(table).await
}

pub(crate) async fn drop_lease_holder(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::alter()
        .table("deliveries")
        .drop_column("lease_holder")
        .to_owned();
    schema.alter_table(table).await
}

pub(crate) async fn index(
    schema: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    schema.create_index(index).await
}

pub(crate) async fn drop_tables(schema: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        schema.drop_table(Table::drop().table(*table).to_owned()).await?;
    }
    Ok(())
}
