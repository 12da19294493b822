//! The table `dead_letters`, one shape in every service that consumes: what was set aside where the broker is in memory.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbErr;

use crate::shared::{drop_tables, index};

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("dead_letters")
        .col(
            ColumnDef::new("id")
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new("queue").text().not_null())
        // Bytes, not JSON: a message is kept whatever is in it, also when no database takes it as text.
        .col(ColumnDef::new("headers").binary().not_null())
        .col(ColumnDef::new("body").binary().not_null())
        .col(ColumnDef::new("dead_at").big_integer().not_null())
        // Both are set while a replay waits: when it was asked for, and the headers that the message is to have.
        .col(ColumnDef::new("asked_at").big_integer())
        .col(ColumnDef::new("replay_headers").binary())
        .to_owned();
    schema.create_table(table).await?;
    // Letters are listed queue by queue, page by page.
    index(schema, "dead_letters", "dead_letters_of", &["queue", "id"]).await?;
    index(schema, "dead_letters", "dead_letters_asked", &["asked_at"]).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["dead_letters"]).await
}
