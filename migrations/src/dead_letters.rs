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
        // Bytes, not JSON: whatever came is kept, also what neither database takes as text.
        .col(ColumnDef::new("headers").binary().not_null())
        .col(ColumnDef::new("body").binary().not_null())
        .col(ColumnDef::new("dead_at").big_integer().not_null())
        // Set while somebody wants it back in its queue, by these headers.
        .col(ColumnDef::new("asked_at").big_integer())
        .col(ColumnDef::new("replay_headers").binary())
        .to_owned();
    schema.create_table(table).await?;
    // Page by page, as they are listed.
    index(schema, "dead_letters", "dead_letters_of", &["queue", "id"]).await?;
    index(schema, "dead_letters", "dead_letters_asked", &["asked_at"]).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(schema, &["dead_letters"]).await
}
