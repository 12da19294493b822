//! The outbox, the queues, and what is missing on the broker.

use std::time::Duration;

use super::Metrics;
use super::labels::{MessageLabels, QueueLabels};
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

    /// How far the relay has come for good (`waypost_outbox_mark`), and how long the oldest transaction that writes has
    /// run (`waypost_outbox_oldest_writer_age_seconds`): the mark waits for it.
    pub fn outbox_mark(&self, id: i64, oldest_writer: Duration) {
        self.0.series.outbox_mark.set(id);
        self.0.series.outbox_oldest_writer.set(oldest_writer.as_secs_f64());
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
    pub fn consumes(&self, queue: &str) {
        for outcome in ["ack", "retry", "dead_letter", "handed_back"] {
            drop(self.0.series.messages.get_or_create(&message_labels(queue, outcome)));
        }
    }

    /// State of the gate before a queue's consumer (`waypost_consumer_gate`): 0 open, 1 probing, 2 draining, 3 closed.
    pub fn consumer_gate(&self, queue: &'static str, state: i64) {
        self.0
            .series
            .consumer_gate
            .get_or_create(&QueueLabels { queue })
            .set(state);
    }

    /// Messages that no queue is bound to, kept to be seen (`waypost_unrouted_messages`).
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

    /// Something was missing on the broker, and was last seen at `since` (`waypost_topology_missing_since_timestamp_seconds`).
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
