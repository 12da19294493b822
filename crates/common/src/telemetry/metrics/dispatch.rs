//! Deliveries, and the destinations that take them or refuse.

use std::time::Duration;

use super::Metrics;
use super::labels::{CauseLabels, ChannelLabels, DeliveryLabels, DestinationLabels};

impl Metrics {
    /// Whether a destination refuses us and is left alone for it (`waypost_destination_refuses`).
    pub fn destination_refuses(&self, destination: &str, refuses: bool) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0
            .series
            .destination_refuses
            .get_or_create(&labels)
            .set(refuses.into());
    }

    /// Whether an operator holds a destination (`waypost_destination_held`).
    pub fn destination_held(&self, destination: &str, held: bool) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0.series.destination_held.get_or_create(&labels).set(held.into());
    }

    /// Counts one delivery that reached a state (`waypost_deliveries_total`).
    pub fn delivery(&self, channel: &str, status: &str) {
        let labels = DeliveryLabels {
            channel: channel.to_owned(),
            status: status.to_owned(),
        };
        self.0.series.deliveries.get_or_create(&labels).inc();
    }

    /// Has a channel's counters of what may arrive twice there from the start, so that their first rise is seen.
    pub fn dispatches(&self, channel: &str) {
        for cause in ["no_answer", "holder_lost"] {
            let _ = self.0.series.maybe_sent.get_or_create(&CauseLabels::of(channel, cause));
        }
    }

    /// Counts one try of which nobody knows whether it arrived (`waypost_deliveries_maybe_sent_total`).
    pub fn maybe_sent(&self, channel: &str, cause: &'static str) {
        self.0
            .series
            .maybe_sent
            .get_or_create(&CauseLabels::of(channel, cause))
            .inc();
    }

    /// How long the oldest due delivery of a channel has waited (`waypost_delivery_oldest_due_seconds`).
    pub fn delivery_oldest_due(&self, channel: &str, waited: Duration) {
        let labels = ChannelLabels {
            channel: channel.to_owned(),
        };
        self.0
            .series
            .delivery_oldest_due
            .get_or_create(&labels)
            .set(waited.as_secs_f64());
    }
}
