//! An index of deliveries that have ended, in the order in which they may be deleted.

use sea_orm_migration::prelude::*;

use crate::indexes;

const NAME: &str = "deliveries_ended";
/// The statuses in which a delivery stays. Pending and sending ones are not in the index.
const ON: &str =
    "deliveries (updated_at) WHERE status IN ('accepted', 'delivered', 'failed', 'suppressed', 'expired', 'cancelled')";

pub(crate) async fn create(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    indexes::build(schema, NAME, ON).await
}

pub(crate) async fn drop(schema: &SchemaManager<'_>) -> Result<(), DbErr> {
    indexes::drop(schema, NAME, "deliveries").await
}
