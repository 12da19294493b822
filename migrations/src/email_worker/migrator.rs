//! The order in which the migrations of email-worker are applied.

use sea_orm_migration::MigrationTrait;

use super::{
    m20261123_000001_journey, m20261128_000001_lease_holder, m20261130_000001_attempts,
    m20261201_000001_operations_audit, m20261202_000001_dead_letters, m20261202_000001_ended_deliveries,
};

/// The migrations of email-worker, oldest first.
pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m20261123_000001_journey::Migration),
        Box::new(m20261128_000001_lease_holder::Migration),
        Box::new(m20261130_000001_attempts::Migration),
        Box::new(m20261201_000001_operations_audit::Migration),
        Box::new(m20261202_000001_ended_deliveries::Migration),
        Box::new(m20261202_000001_dead_letters::Migration),
    ]
}
