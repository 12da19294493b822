//! The outbox, the queues, and what is missing on the broker.

use std::time::Duration;

use super::Metrics;
use super::labels::{MessageLabels, OutletLabels, QueueLabels};
use crate::Timestamp;

impl Metrics {
    /// Rows of the outbox that wait for the broker (`waypost_outbox_pending`).
    pub fn outbox_pending(&self, rows: u64) {
        self.0
            .series
            .outbox_pending
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Age of the oldest of them (`waypost_outbox_oldest_age_seconds`).
    pub fn outbox_oldest_age(&self, age: Duration) {
        self.0.series.outbox_oldest_age.set(age.as_secs_f64());
    }

    /// How far the relay has come for good (`waypost_outbox_mark`), and how long that has waited for a transaction that
    /// wrote to the outbox and is still open (`waypost_outbox_oldest_writer_age_seconds`).
    pub fn outbox_mark(&self, id: i64, oldest_writer: Duration) {
        self.0.series.outbox_mark.set(id);
        self.0.series.outbox_oldest_writer.set(oldest_writer.as_secs_f64());
    }

    /// Events that wait for an outlet (`waypost_outlet_pending`).
    pub fn outlet_pending(&self, outlet: &'static str, events: u64) {
        let pending = self.0.series.outlet_pending.get_or_create(&OutletLabels { outlet });
        pending.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Age of the oldest of them (`waypost_outlet_oldest_age_seconds`).
    pub fn outlet_oldest_age(&self, outlet: &'static str, age: Duration) {
        let oldest = self.0.series.outlet_oldest_age.get_or_create(&OutletLabels { outlet });
        oldest.set(age.as_secs_f64());
    }

    /// Whether the broker has blocked the connection that publishes (`waypost_broker_blocked`).
    pub fn broker_blocked(&self, is_blocked: bool) {
        self.0.series.broker_blocked.set(i64::from(is_blocked));
    }

    /// Counts one settled message (`waypost_messages_total`): `ack`, `retry`, `dead_letter`,
    /// `handed_back`, `published`.
    pub fn message(&self, queue: &str, outcome: &str) {
        self.0
            .series
            .messages
            .get_or_create(&message_labels(queue, outcome))
            .inc();
    }

    /// Shows a queue's counters from the start: a first dead letter is seen as a rise, not as a new series.
    pub fn consumes(&self, queue: &'static str) {
        for outcome in ["ack", "retry", "dead_letter", "handed_back"] {
            drop(self.0.series.messages.get_or_create(&message_labels(queue, outcome)));
        }
        for outcome in ["together", "apart"] {
            drop(self.0.series.batches.get_or_create(&message_labels(queue, outcome)));
        }
        drop(self.0.series.intake_panics.get_or_create(&QueueLabels { queue }));
        self.queue_consumers(queue, 0);
        self.consumer_slow_start(queue, false);
    }

    /// Counts an intake that panicked (`waypost_intake_panics_total`).
    pub fn intake_panic(&self, queue: &'static str) {
        self.0.series.intake_panics.get_or_create(&QueueLabels { queue }).inc();
    }

    /// Counts messages that came together (`waypost_message_batches_total`): taken in `together` in one change, or `apart`,
    /// because that change did not come to be.
    pub fn batch(&self, queue: &str, outcome: &str) {
        self.0
            .series
            .batches
            .get_or_create(&message_labels(queue, outcome))
            .inc();
    }

    /// Whether a queue's consumer takes one message at a time, because its channel is new (`waypost_consumer_slow_start`).
    pub fn consumer_slow_start(&self, queue: &'static str, is_slow: bool) {
        let slow_start = &self.0.series.consumer_slow_start;
        slow_start.get_or_create(&QueueLabels { queue }).set(i64::from(is_slow));
    }

    /// Consumers that the broker counts on a queue (`waypost_queue_consumers`).
    pub fn queue_consumers(&self, queue: &'static str, consumers: u32) {
        let shown = &self.0.series.queue_consumers;
        shown.get_or_create(&QueueLabels { queue }).set(i64::from(consumers));
    }

    /// State of the gate before a queue's consumer (`waypost_consumer_gate`): 0 open, 1 probing, 2 draining, 3 closed.
    pub fn consumer_gate(&self, queue: &'static str, state: i64) {
        self.0
            .series
            .consumer_gate
            .get_or_create(&QueueLabels { queue })
            .set(state);
    }

    /// Messages that no queue took and that are kept to be seen (`waypost_unrouted_messages`).
    pub fn unrouted_messages(&self, messages: u64) {
        self.0
            .series
            .unrouted_messages
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Age of the oldest of them (`waypost_unrouted_oldest_age_seconds`).
    pub fn unrouted_oldest_age(&self, age: Duration) {
        self.0.series.unrouted_oldest_age.set(age.as_secs_f64());
    }

    /// Something was missing on the broker, which was last seen whole at `since`
    /// (`waypost_topology_missing_since_timestamp_seconds`).
    pub fn topology_missing_since(&self, since: Timestamp) {
        self.0.series.topology_missing_since.set(since.as_seconds());
    }
}

fn message_labels(queue: &str, outcome: &str) -> MessageLabels {
    MessageLabels {
        queue: queue.to_owned(),
        outcome: outcome.to_owned(),
    }
}
