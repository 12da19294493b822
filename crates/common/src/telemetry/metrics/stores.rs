//! The database pool and the commands to Redis.

use std::time::Duration;

use super::Metrics;
use super::labels::{CommandLabels, StateLabels};

impl Metrics {
    /// Connections of the database pool, and how many it may have (`waypost_database_connections`,
    /// `waypost_database_connections_limit`).
    pub fn database_connections(&self, used: u32, idle: u32, limit: u32) {
        for (state, count) in [("used", used), ("idle", idle)] {
            let labels = StateLabels { state };
            self.0
                .series
                .database_connections
                .get_or_create(&labels)
                .set(count.into());
        }
        self.0.series.database_connections_limit.set(limit.into());
    }

    /// Records one command that was sent to Redis, by how long it took (`waypost_store_command_duration_seconds`): `ok`,
    /// `timed_out`, `refused`.
    pub fn store_command(&self, command: &'static str, outcome: &'static str, took: Duration) {
        let labels = CommandLabels { command, outcome };
        let histogram = self.0.series.store_commands.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }
}
