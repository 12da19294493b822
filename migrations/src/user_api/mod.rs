//! Tables of user-api.

mod m20261123_000001_journey;
mod m20261129_000001_sweep;
mod m20261201_000001_operations_audit;
mod m20261203_000001_outbox_kafka;
mod migrator;

pub(crate) use migrator::migrations;
