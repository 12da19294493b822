//! What the cache answers, and how it learns of changes.

use prometheus_client::metrics::counter::Counter;

use super::Metrics;
use super::labels::{CacheLabels, DirectionLabels, LockNameLabels, RefreshLabels};

impl Metrics {
    /// Has counters of a cache, and of its `lock`, stand at 0 from the beginning: those whose first rise matters, and those
    /// that others are compared with, such as the reads that went to the database.
    pub fn caches(&self, lock: &'static str) {
        for layer in ["l1", "redis", "database"] {
            drop(
                self.0
                    .series
                    .cache_reads
                    .get_or_create(&CacheLabels { layer, outcome: "hit" }),
            );
        }
        for outcome in ["loaded", "shared", "failed"] {
            for reason in ["miss", "stale", "ageing"] {
                drop(
                    self.0
                        .series
                        .cache_refreshes
                        .get_or_create(&RefreshLabels { reason, outcome }),
                );
            }
        }
        for direction in ["sent", "received"] {
            drop(
                self.0
                    .series
                    .cache_invalidations
                    .get_or_create(&DirectionLabels { direction }),
            );
        }
        drop(self.0.series.lock_waits.get_or_create(&LockNameLabels { lock }));
        self.locks(lock);
    }

    /// Counts one look into a cache layer (`waypost_cache_reads_total`): `hit`, `miss`, `stale`, `absent`, `error`.
    pub fn cache_read(&self, layer: &'static str, outcome: &'static str) {
        self.0
            .series
            .cache_reads
            .get_or_create(&CacheLabels { layer, outcome })
            .inc();
    }

    /// The counter of one outcome of [`Self::cache_read`], for who counts it at every request.
    pub fn cache_reads(&self, layer: &'static str, outcome: &'static str) -> Counter {
        self.0
            .series
            .cache_reads
            .get_or_create_owned(&CacheLabels { layer, outcome })
    }

    /// Counts one refresh of a cached value (`waypost_cache_refreshes_total`), by its reason: `miss`, `stale`, `ageing`;
    /// and its outcome: `loaded`, `shared` (another replica's was taken), `failed`.
    pub fn cache_refresh(&self, reason: &'static str, outcome: &'static str) {
        self.0
            .series
            .cache_refreshes
            .get_or_create(&RefreshLabels { reason, outcome })
            .inc();
    }

    /// Counts keys whose change was `sent` or `received` (`waypost_cache_invalidations_total`).
    pub fn cache_invalidations(&self, direction: &'static str, keys: u64) {
        let labels = DirectionLabels { direction };
        self.0.series.cache_invalidations.get_or_create(&labels).inc_by(keys);
    }

    /// Whether the changes of other replicas are heard (`waypost_cache_subscription_up`).
    pub fn cache_subscription(&self, is_up: bool) {
        self.0.series.cache_subscription_up.set(is_up.into());
    }

    /// Keys that wait to be repaired in the store (`waypost_cache_repairs_pending`).
    pub fn cache_repairs_pending(&self, keys: usize) {
        self.0
            .series
            .cache_repairs_pending
            .set(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}
