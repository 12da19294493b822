//! The order in which the migrations of user-api are applied.

use sea_orm_migration::MigrationTrait;

use super::{
    m20261123_000001_journey, m20261129_000001_sweep, m20261201_000001_operations_audit, m20261203_000001_outbox_kafka,
};

/// The migrations of user-api, oldest first.
pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m20261123_000001_journey::Migration),
        Box::new(m20261129_000001_sweep::Migration),
        Box::new(m20261201_000001_operations_audit::Migration),
        Box::new(m20261203_000001_outbox_kafka::Migration),
    ]
}
