//! Tables of email-worker.

mod m20261123_000001_journey;
mod migrator;

pub use migrator::{Migrator, names};
