//! What bounds the work: rate limits, concurrency limits, bulkheads.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;

use super::Metrics;
use super::labels::{BulkheadLabels, LaneLabels, LimitLabels, PlaceLabels, PriorityLabels};

impl Metrics {
    /// The counter of one outcome of the rate limits (`waypost_limit_decisions_total`). It stands from this call on, and who
    /// decides on every request keeps it. Outcomes that pass: `leased` (a token that was in hand), `drawn` (from the store),
    /// `alone` (the store is away), `delayed`. The other outcome is `refused`.
    pub fn limit_decisions(&self, class: &'static str, algorithm: &'static str, outcome: &'static str) -> Counter {
        let labels = LimitLabels {
            class,
            algorithm,
            outcome,
        };
        self.0.series.limit_decisions.get_or_create_owned(&labels)
    }

    /// A lane's limit and what is under way in it (`waypost_concurrency_limit`, `waypost_concurrency_in_flight`).
    pub fn concurrency(&self, lane: &'static str, limit: usize, in_flight: usize) {
        let labels = LaneLabels { lane };
        let shown = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.series.concurrency_limit.get_or_create(&labels).set(shown(limit));
        self.0
            .series
            .concurrency_in_flight
            .get_or_create(&labels)
            .set(shown(in_flight));
    }

    /// Counts one request that was refused because too many were under way (`waypost_requests_shed_total`).
    pub fn request_shed(&self, priority: &'static str) {
        self.0
            .series
            .requests_shed
            .get_or_create(&PriorityLabels { priority })
            .inc();
    }

    /// Has the counter of [`Self::request_shed`] stand for a priority from the beginning, so that its first rise is seen.
    pub fn sheds(&self, priority: &'static str) {
        drop(self.0.series.requests_shed.get_or_create(&PriorityLabels { priority }));
    }

    /// Places of a bulkhead, and all that found none so far (`waypost_bulkhead_places`,
    /// `waypost_bulkhead_rejections_total`).
    pub fn bulkhead(&self, bulkhead: &str, (used, free): (usize, usize), rejections: u64) {
        for (state, count) in [("used", used), ("free", free)] {
            let labels = PlaceLabels {
                bulkhead: bulkhead.to_owned(),
                state,
            };
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.series.bulkhead_places.get_or_create(&labels).set(count);
        }
        let counter = self.0.series.bulkhead_rejections.get_or_create(&BulkheadLabels {
            bulkhead: bulkhead.to_owned(),
        });
        counter.inner().store(rejections, Ordering::Relaxed);
    }
}
