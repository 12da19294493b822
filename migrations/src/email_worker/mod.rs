//! Tables of email-worker.

mod m20261123_000001_journey;
mod m20261128_000001_lease_holder;
mod m20261130_000001_attempts;
mod m20261201_000001_operations_audit;
mod m20261202_000001_dead_letters;
mod m20261202_000001_ended_deliveries;
mod migrator;

pub(crate) use migrator::migrations;
