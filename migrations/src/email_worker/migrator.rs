//! The order in which the migrations of email-worker are applied.

use sea_orm_migration::MigrationTrait;

use super::{
    m20261123_000001_journey, m20261128_000001_lease_holder, m20261130_000001_attempts,
    m20261201_000001_operations_audit, m20261202_000001_attempt_reasons, m20261202_000001_dead_letters,
    m20261202_000001_ended_deliveries, m20261202_000002_by_recipient, m20261202_000003_by_trace,
    m20261202_000004_inbox_types, m20261202_000005_holds, m20261202_000006_orders, m20261202_000007_by_origin,
    m20261202_000008_by_status, m20261203_000001_outbox_kafka, m20261203_000002_by_whole,
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
        Box::new(m20261202_000001_attempt_reasons::Migration),
        Box::new(m20261202_000002_by_recipient::Migration),
        Box::new(m20261202_000003_by_trace::Migration),
        Box::new(m20261202_000004_inbox_types::Migration),
        Box::new(m20261202_000005_holds::Migration),
        Box::new(m20261202_000006_orders::Migration),
        Box::new(m20261202_000007_by_origin::Migration),
        Box::new(m20261202_000008_by_status::Migration),
        Box::new(m20261203_000001_outbox_kafka::Migration),
        Box::new(m20261203_000002_by_whole::Migration),
    ]
}
