//! How a consumer works.

use std::time::Duration;

use crate::config::Settings;

/// How a consumer works. Take the settings that the [`Broker`](crate::messaging::Broker) was connected with: it has delay
/// queues for their `retry_delays` alone.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Messages in hand at a time.
    pub prefetch: u16,
    /// Messages that may share a change, where the intake allows it; no more than are in hand.
    pub batch: usize,
    /// Time for one attempt at a message, its tries in place included; the same for several that share a change.
    pub handler_timeout: Duration,
    /// Waits between attempts, at least one, each with a delay queue; after the last comes the dead-letter queue.
    pub retry_delays: Vec<Duration>,
}

impl ConsumerOptions {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        Self {
            prefetch: settings.broker.prefetch,
            batch: settings.broker.batch,
            handler_timeout: settings.broker.handler_timeout,
            retry_delays: settings.broker.retry_delays.clone(),
        }
    }
}
