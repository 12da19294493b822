//! An index that finds what is due of a whole destination, such as `webhook` with every `webhook.<id>`, in the order of a
//! claim. With it a claim passes by destinations that are held without reading their rows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::indexes;

const NAME: &str = "deliveries_whole";

/// Builds the index, of pending deliveries alone, so that it grows with what waits and not with the table.
pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    // The whole of `mail-7` is `mail`, that of `webhook.<id>` is `webhook`. A statement uses the index only when it has the
    // same expression.
    let whole = match schema.get_connection().get_database_backend() {
        DbBackend::Postgres => "split_part(translate(destination, '.', '-'), '-', 1)",
        _ => "substr(destination, 1, instr(replace(destination, '.', '-') || '-', '-') - 1)",
    };
    let on = format!("deliveries (({whole}), priority DESC, next_attempt_at) WHERE status = 'pending'");
    indexes::build(schema, NAME, &on).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    indexes::drop(schema, NAME, "deliveries").await
}
