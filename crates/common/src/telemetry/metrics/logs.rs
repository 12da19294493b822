//! Log lines and spans that were lost.

use std::sync::atomic::Ordering;

use super::Metrics;

impl Metrics {
    /// All log lines that the process has lost so far (`waypost_log_lines_dropped_total`).
    pub fn log_lines_lost(&self, lines: u64) {
        self.0.series.log_lines_lost.inner().store(lines, Ordering::Relaxed);
    }

    /// All spans of the service that the trace collector has not taken so far (`waypost_spans_dropped_total`).
    pub fn spans_lost(&self, spans: u64) {
        self.0.series.spans_lost.inner().store(spans, Ordering::Relaxed);
    }
}
