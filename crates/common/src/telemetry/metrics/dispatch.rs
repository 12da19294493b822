//! Deliveries, and the destinations that take them or refuse.

use std::time::Duration;

use super::Metrics;
use super::held::Held;
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

    /// How an operator holds a destination, if at all (`waypost_destination_held`, `waypost_hold_age_seconds`,
    /// `waypost_hold_ends_in_seconds`, `waypost_hold_waiting`).
    pub fn destination_held(&self, destination: &str, held: Option<Held>) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        let series = &self.0.series;
        let shown = held.unwrap_or_default();
        let seconds = |span: Duration| span.as_secs_f64();
        let waiting = i64::try_from(shown.waiting).unwrap_or(i64::MAX);
        series
            .destination_held
            .get_or_create(&labels)
            .set(held.is_some().into());
        series.hold_age.get_or_create(&labels).set(seconds(shown.age));
        series.hold_ends_in.get_or_create(&labels).set(seconds(shown.left));
        series.hold_waiting.get_or_create(&labels).set(waiting);
    }

    /// Counts one delivery that reached a state (`waypost_deliveries_total`).
    pub fn delivery(&self, channel: &str, status: &str) {
        let labels = DeliveryLabels {
            channel: channel.to_owned(),
            status: status.to_owned(),
        };
        self.0.series.deliveries.get_or_create(&labels).inc();
    }

    /// Has a channel's counters of [`Self::maybe_sent`] stand from the start, so that their first rise is seen.
    pub fn dispatches(&self, channel: &str) {
        for cause in ["no_answer", "holder_lost"] {
            let _ = self.0.series.maybe_sent.get_or_create(&CauseLabels::of(channel, cause));
        }
    }

    /// Counts one try of which nobody knows whether it arrived (`waypost_deliveries_maybe_sent_total`): `no_answer`,
    /// `holder_lost`.
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
