//! Locks over all replicas, and what one of them deletes for all.

use std::time::Duration;

use super::Metrics;
use super::labels::{LockLabels, LockNameLabels, SweepLabels, TableLabels};

impl Metrics {
    /// Has the counters of a lock stand from the beginning, so that their first rise is seen.
    pub fn locks(&self, lock: &'static str) {
        for outcome in ["acquired", "taken", "lost", "error"] {
            drop(self.0.series.locks.get_or_create(&LockLabels { lock, outcome }));
        }
    }

    /// Counts what came of asking for a lock (`waypost_lock_attempts_total`): `acquired`, `taken`, `error`; and `lost`.
    pub fn lock(&self, lock: &'static str, outcome: &'static str) {
        self.0.series.locks.get_or_create(&LockLabels { lock, outcome }).inc();
    }

    /// Records how long somebody waited for what the holder of a lock does (`waypost_lock_wait_duration_seconds`).
    pub fn lock_wait(&self, lock: &'static str, waited: Duration) {
        let waits = self.0.series.lock_waits.get_or_create(&LockNameLabels { lock });
        waits.observe(waited.as_secs_f64());
    }

    /// Has the counters of the sweep of sessions, and of its lock `lock`, stand from the beginning.
    pub fn sweeps(&self, lock: &'static str) {
        for outcome in ["deleted", "fenced"] {
            drop(self.0.series.sessions_swept.get_or_create(&SweepLabels { outcome }));
        }
        self.locks(lock);
    }

    /// Counts expired sessions that were `deleted`, or batches that were `fenced` off (`waypost_sessions_swept_total`).
    pub fn sessions_swept(&self, outcome: &'static str, sessions: u64) {
        self.0
            .series
            .sessions_swept
            .get_or_create(&SweepLabels { outcome })
            .inc_by(sessions);
    }

    /// Counts deleted rows of a table (`waypost_rows_pruned_total`). With 0 rows the counter only begins to stand.
    pub fn rows_pruned(&self, table: &'static str, rows: u64) {
        self.0
            .series
            .rows_pruned
            .get_or_create(&TableLabels { table })
            .inc_by(rows);
    }
}
