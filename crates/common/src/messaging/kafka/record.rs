//! A message as Kafka has it: CloudEvents 1.0 in binary mode (Kafka protocol binding 1.0).
//!
//! The attributes are headers with the prefix `ce_`, the body is the data alone, and the key is the subject: all events of
//! one subject lie in one partition, in order.

use bytes::Bytes;
use contracts::envelope::header;

use crate::messaging::wire::Wire;

/// Prefix of the attributes' headers on AMQP, by CloudEvents' AMQP protocol binding.
const ON_AMQP: &str = "cloudEvents_";
/// The same on Kafka, by CloudEvents' Kafka protocol binding.
const ON_KAFKA: &str = "ce_";
/// The header of the attribute `datacontenttype`, which has no prefix.
const CONTENT_TYPE: &str = "content-type";

/// A message as Kafka has it.
pub(super) struct Record {
    /// The subject; without one, any partition will do.
    pub(super) key: Option<String>,
    /// In the order of their names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl From<Wire> for Record {
    /// Takes the attributes and the trace; headers that the services write only for each other are left out.
    fn from(wire: Wire) -> Self {
        let key = wire.header(header::SUBJECT).map(str::to_owned);
        let content_type = wire.content_type.map(|kind| (CONTENT_TYPE.to_owned(), kind));
        let attributes = wire.headers.into_iter().filter_map(|(name, value)| {
            let attribute = name.strip_prefix(ON_AMQP).map(|name| format!("{ON_KAFKA}{name}"));
            let is_trace = name == header::TRACEPARENT || name == header::TRACESTATE;
            attribute.or(is_trace.then_some(name)).map(|name| (name, value))
        });
        let mut headers: Vec<_> = content_type.into_iter().chain(attributes).collect();
        headers.sort();
        Self {
            key,
            headers,
            body: wire.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::events::EmailSent;
    use contracts::{Event, EventData};
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::config::Service;
    use crate::messaging::message::OutboundMessage;
    use crate::telemetry::TraceContext;

    const ONE: &str = "019ac8a0-0000-7000-8000-000000000001";
    const TWO: &str = "019ac8a0-0000-7000-8000-000000000002";
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn wire() -> Wire {
        let user_id: Uuid = ONE.parse().unwrap();
        let mut event = Event::new(user_id, datetime!(2026-11-23 10:00:00.5 UTC), EmailSent::example());
        event.id = TWO.parse().unwrap();
        let trace = TraceContext::parse(Some(TRACE), Some("vendor=1")).unwrap();
        let message = OutboundMessage::of(Service::EmailWorker, &event.caused_by(user_id), trace.clone()).unwrap();
        message.into_wire(trace)
    }

    #[test]
    fn the_attributes_the_trace_and_the_key_are_as_the_binding_has_them() {
        let sent = wire();
        let body = sent.body.clone();
        let record = Record::from(sent);
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            headers,
            [
                ("ce_causationid", ONE),
                ("ce_id", TWO),
                ("ce_source", "email-worker"),
                ("ce_specversion", "1.0"),
                ("ce_subject", ONE),
                ("ce_time", "2026-11-23T10:00:00.500000Z"),
                ("ce_type", "email.sent.v1"),
                ("content-type", "application/json"),
                ("traceparent", TRACE),
                ("tracestate", "vendor=1"),
            ]
        );
        assert_eq!((record.key.as_deref(), record.body), (Some(ONE), body));
    }

    #[test]
    fn what_is_the_services_own_stays_behind_and_without_a_subject_there_is_no_key() {
        let mut wire = wire();
        wire.headers.remove(header::SUBJECT);
        wire.set(header::ATTEMPT, "2");
        wire.set("x-death", "1");
        let record = Record::from(wire);
        assert_eq!(record.key, None);
        assert!(record.headers.iter().all(|(name, _)| name.starts_with("ce_")
            || ["content-type", "traceparent", "tracestate"].contains(&name.as_str())));
    }
}
