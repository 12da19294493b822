//! What a closed loop measures.

use std::time::Duration;

/// What a server got done.
pub(crate) struct Throughput {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Throughput {
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let requests = self.requests as f64;
        requests / self.took.as_secs_f64()
    }
}
