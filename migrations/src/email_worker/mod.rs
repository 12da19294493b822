//! Tables of email-worker.

mod m20261123_000001_journey;
mod m20261128_000001_lease_holder;
mod m20261130_000001_attempts;
mod m20261201_000001_operations_audit;
mod m20261202_000001_attempt_reasons;
mod m20261202_000001_dead_letters;
mod m20261202_000001_ended_deliveries;
mod m20261202_000002_by_recipient;
mod m20261202_000003_by_trace;
mod m20261202_000004_inbox_types;
mod m20261202_000005_holds;
mod m20261202_000006_orders;
mod m20261202_000007_by_origin;
mod m20261202_000008_by_status;
mod m20261203_000001_outbox_kafka;
mod m20261203_000002_by_whole;
mod migrator;

pub(crate) use migrator::migrations;
