//! Tables of user-api.

mod m20261123_000001_journey;
mod m20261129_000001_sweep;
mod migrator;

pub(crate) use migrator::migrations;
