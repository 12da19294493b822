//! How long rows are kept.

use std::time::Duration;

use serde::Deserialize;

use super::durations::seconds;

/// How long rows are kept: the one table of it.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Retention {
    #[serde(rename = "every_s", deserialize_with = "seconds")]
    pub every: Duration,
    #[serde(rename = "inbox_s", deserialize_with = "seconds")]
    pub inbox: Duration,
    #[serde(rename = "deliveries_s", deserialize_with = "seconds")]
    pub deliveries: Duration,
    #[serde(rename = "delivery_attempts_s", deserialize_with = "seconds")]
    pub delivery_attempts: Duration,
    #[serde(rename = "notifications_s", deserialize_with = "seconds")]
    pub notifications: Duration,
    #[serde(rename = "operations_audit_s", deserialize_with = "seconds")]
    pub operations_audit: Duration,
    #[serde(rename = "outbox_kafka_s", deserialize_with = "seconds")]
    pub outbox_kafka: Duration,
}

impl Retention {
    /// Nothing is kept for less than this.
    pub(super) const SHORTEST: Duration = Duration::from_hours(24);

    /// Each key that says how long something is kept.
    pub(super) fn spans(&self) -> [(&'static str, Duration); 6] {
        [
            ("retention.inbox_s", self.inbox),
            ("retention.deliveries_s", self.deliveries),
            ("retention.delivery_attempts_s", self.delivery_attempts),
            ("retention.notifications_s", self.notifications),
            ("retention.operations_audit_s", self.operations_audit),
            ("retention.outbox_kafka_s", self.outbox_kafka),
        ]
    }
}
