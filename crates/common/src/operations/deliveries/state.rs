//! What the operations on deliveries work with.

use crate::dispatch::Waker;
use crate::messaging::Changes;
use crate::telemetry::Metrics;

/// What the operations on deliveries work with.
pub(crate) struct State {
    /// The service's changes, which its audit is written in.
    pub(crate) changes: Changes,
    /// Wakes the dispatcher.
    pub(crate) waker: Waker,
    /// The channels that the dispatcher sends over. The table may have deliveries of others.
    pub(crate) channels: &'static [&'static str],
    /// Where the ends of deliveries are counted.
    pub(crate) metrics: Metrics,
}
