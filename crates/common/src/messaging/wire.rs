//! A message as it travels over either broker.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use contracts::envelope::header;

use crate::telemetry::TraceContext;

/// Prefix of the headers that belong to the broker. They are never sent on: `RabbitMQ` 3.10 takes a
/// published `x-death` for its own and drops the message out of a delay queue as a cycle.
const BROKERS_OWN: &str = "x-";

/// A message as it travels over either broker: a content type, headers that are all text, a body.
#[derive(Clone, Default)]
pub(super) struct Wire {
    pub(super) content_type: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Bytes,
}

impl Wire {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A header that holds a count; 0 when it is absent or no number.
    pub(super) fn count(&self, name: &str) -> u32 {
        self.header(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.insert(name.to_owned(), value.into());
    }

    /// The producer's trace context; `None` when it is absent or breaks W3C Trace Context.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.header(header::TRACEPARENT), self.header(header::TRACESTATE))
    }

    pub(super) fn set_trace(&mut self, trace: TraceContext) {
        self.headers.remove(header::TRACESTATE);
        if let Some(state) = trace.tracestate {
            self.set(header::TRACESTATE, state);
        }
        self.set(header::TRACEPARENT, trace.traceparent);
    }

    /// Removes the headers that belong to the broker.
    pub(super) fn strip_brokers_own(&mut self) {
        self.headers.retain(|name, _| !is_brokers_own(name));
    }
}

pub(super) fn is_brokers_own(name: &str) -> bool {
    name.get(..BROKERS_OWN.len())
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(BROKERS_OWN))
}

impl fmt::Debug for Wire {
    /// Bodies hold personal data and stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("id", &self.header(header::ID))
            .field("type", &self.header(header::TYPE))
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_broker_are_taken_off_and_ours_stay() {
        let mut wire = Wire::default();
        for name in [
            "x-death",
            "X-First-Death-Queue",
            "waypost-attempt",
            "traceparent",
            "x",
            "é",
        ] {
            wire.set(name, "1");
        }
        wire.strip_brokers_own();
        let left: Vec<_> = wire.headers.keys().map(String::as_str).collect();
        assert_eq!(left, ["traceparent", "waypost-attempt", "x", "é"]);
    }

    #[test]
    fn a_broken_trace_context_is_none() {
        let mut wire = Wire::default();
        wire.set(header::TRACEPARENT, "garbage");
        assert!(wire.trace().is_none());
    }
}
