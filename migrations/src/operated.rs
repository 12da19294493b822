//! What those who run a service need of its deliveries: columns, one shape in every service that sends.
//!
//! Every column may be NULL or has a constant default, so that an older version of the service works on.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::drop_tables;

/// Why an exchange ended as it did, and when the delivery was to be tried after it.
pub(crate) async fn add_attempt_reasons(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new("reason").text().to_owned(),
        ColumnDef::new("next_attempt_at").big_integer().to_owned(),
    ];
    add(schema, "delivery_attempts", columns).await
}

pub(crate) async fn drop_attempt_reasons(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop(schema, "delivery_attempts", &["next_attempt_at", "reason"]).await
}

/// The type of an event that was taken in, and the trace in which it came.
pub(crate) async fn add_inbox_types(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = ["type", "trace_id"].map(|name| ColumnDef::new(name).text().to_owned());
    add(schema, "inbox", columns).await
}

pub(crate) async fn drop_inbox_types(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop(schema, "inbox", &["trace_id", "type"]).await
}

/// Destinations that are held by an operator, and until when.
pub(crate) async fn create_holds(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("holds")
        .col(ColumnDef::new("destination").text().not_null().primary_key())
        .col(ColumnDef::new("until").big_integer().not_null())
        .col(ColumnDef::new("reason").text().not_null())
        .col(ColumnDef::new("who").text().not_null())
        .col(ColumnDef::new("since").big_integer().not_null())
        .to_owned();
    schema.create_table(table).await
}

pub(crate) async fn drop_holds(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["holds"]).await
}

/// Which deliveries may go before their destination's rest is over, and which are copies that an operator ordered.
pub(crate) async fn add_orders(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new("retry_now")
            .boolean()
            .not_null()
            .default(false)
            .to_owned(),
        ColumnDef::new("resend_of").uuid().to_owned(),
        ColumnDef::new("origin_event_id").uuid().to_owned(),
    ];
    add(schema, "deliveries", columns).await
}

pub(crate) async fn drop_orders(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop(schema, "deliveries", &["origin_event_id", "resend_of", "retry_now"]).await
}

/// Adds the columns, each in a statement of its own: SQLite takes no more at once.
async fn add(
    schema: &SchemaManager<'_>,
    table: &'static str,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> Result<(), DbErr> {
    for column in columns {
        let alter = Table::alter().table(table).add_column(column).to_owned();
        schema.alter_table(alter).await?;
    }
    Ok(())
}

async fn drop(schema: &SchemaManager<'_>, table: &'static str, columns: &[&'static str]) -> Result<(), DbErr> {
    for column in columns {
        let alter = Table::alter().table(table).drop_column(*column).to_owned();
        schema.alter_table(alter).await?;
    }
    Ok(())
}
