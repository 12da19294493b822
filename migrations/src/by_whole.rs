//! Finds what is due of a destination and all its parts, in the order of a claim: so that one passes by what is held unread.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::indexes;

/// The index.
const NAME: &str = "deliveries_whole";

/// Only of those that wait: it is as small as what is due.
pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Of `mail-7` and `webhook.<id>`: `mail` and `webhook`. Statements must say it in the same words.
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
