//! The slow start of a consumer: one message at a time, until some came that nobody had in hand before.
//!
//! Why: when a message kills its process, the process loses all other messages in hand too, and the broker counts a
//! delivery of each. With 50 in hand, 39 innocent ones went to the dead letters with the guilty one. What was in hand comes
//! back before what is new. So a new channel begins with one message, and as long as messages come back that were handed
//! out before, each is alone in hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// How many messages must be settled at their first delivery before more than one may be in hand.
const CLEAN: usize = 3;

/// How many messages the consumer of one channel may have in hand.
pub(super) struct Pace {
    queue: &'static str,
    full: u16,
    clean: AtomicUsize,
    risen: CancellationToken,
    metrics: Metrics,
}

impl Pace {
    /// The pace of a new channel: one message, and `full` later.
    pub(super) fn new(queue: &'static str, full: u16, metrics: Metrics) -> Self {
        let pace = Self {
            queue,
            full,
            clean: AtomicUsize::new(0),
            risen: CancellationToken::new(),
            metrics,
        };
        if full <= 1 {
            pace.risen.cancel();
        }
        pace.show();
        pace
    }

    /// Whether it is still one message at a time.
    pub(super) fn is_slow(&self) -> bool {
        !self.risen.is_cancelled()
    }

    /// How many messages may be in hand.
    pub(super) fn prefetch(&self) -> u16 {
        if self.is_slow() { 1 } else { self.full }
    }

    /// Resolves when more may be in hand than one.
    pub(super) async fn rises(&self) {
        self.risen.cancelled().await;
    }

    /// Counts a message that is settled, if it was handed out for the first time.
    pub(super) fn settled(&self, is_first_delivery: bool) {
        if self.is_slow() && is_first_delivery && self.clean.fetch_add(1, Ordering::Relaxed) + 1 >= CLEAN {
            self.risen.cancel();
            self.show();
        }
    }

    fn show(&self) {
        self.metrics.consumer_slow_start(self.queue, self.is_slow());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Service;

    fn pace(full: u16) -> Pace {
        Pace::new("q", full, Metrics::new(Service::EmailWorker))
    }

    #[test]
    fn it_rises_after_three_first_deliveries_and_what_comes_back_does_not_count() {
        let pace = pace(32);
        for is_first in [true, false, true, false, false] {
            pace.settled(is_first);
            assert_eq!((pace.is_slow(), pace.prefetch()), (true, 1));
        }
        pace.settled(true);
        assert_eq!((pace.is_slow(), pace.prefetch()), (false, 32));
    }

    #[test]
    fn a_consumer_that_holds_one_has_nothing_to_rise_to() {
        assert!(!pace(1).is_slow());
    }
}
