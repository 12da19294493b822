//! Calls to other systems: what the layers around them decide, and how their breakers stand.

use prometheus_client::metrics::counter::Counter;

use super::Metrics;
use super::labels::{CallbackLabels, DestinationLabels, OutboundLabels, TransitionLabels};

impl Metrics {
    /// The counter of one decision of one layer around the calls to a destination (`waypost_outbound_decisions_total`). It
    /// stands from this call on, and who decides on every call keeps it.
    pub fn outbound_decision(&self, destination: &str, layer: &'static str, decision: &'static str) -> Counter {
        let labels = OutboundLabels {
            destination: destination.to_owned(),
            layer,
            decision,
        };
        self.0.series.outbound_decisions.get_or_create_owned(&labels)
    }

    /// The counter of the changes of a destination's breaker to one state (`waypost_breaker_transitions_total`).
    pub fn breaker_transitions(&self, destination: &str, to: &'static str) -> Counter {
        let labels = TransitionLabels {
            destination: destination.to_owned(),
            to,
        };
        self.0.series.breaker_transitions.get_or_create_owned(&labels)
    }

    /// Counts one call by which a provider tells of a message (`waypost_callbacks_total`).
    pub fn callback(&self, provider: &'static str, outcome: &'static str) {
        self.0
            .series
            .callbacks
            .get_or_create(&CallbackLabels { provider, outcome })
            .inc();
    }

    /// State of a destination's breaker (`waypost_breaker_state`): 0 closed, 1 half-open, 2 open.
    pub fn breaker_state(&self, destination: &str, state: i64) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0.series.breaker_state.get_or_create(&labels).set(state);
    }
}
