//! Between AMQP's properties and our [`Wire`].

use contracts::envelope::header;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::messaging::wire::{Wire, is_brokers_own};

/// AMQP's delivery mode for messages that the broker keeps on disk.
const PERSISTENT: u8 = 2;
/// Headers and properties must fit into one frame of 128 KiB. Headers beyond this limit are left out, foreign ones first.
const MAX_HEADERS_BYTES: usize = 64 * 1024;

/// Reads a message that arrived. Headers that are no text, signed whole number or truth value are left out.
pub(super) fn read(delivery: Delivery) -> Wire {
    let properties = &delivery.properties;
    let mut wire = Wire {
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        ..Wire::default()
    };
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if let Some(value) = as_text(value) {
            wire.headers.insert(name.to_string(), value);
        }
    }
    wire.body = delivery.data.into();
    wire
}

/// The bytes that a header takes beside its name and its text: their lengths and the type.
const HEADER_OVERHEAD_BYTES: usize = 6;

/// Writes the properties of a message that is sent, without the headers that belong to the broker.
pub(super) fn properties(wire: &Wire) -> BasicProperties {
    let mut table = FieldTable::default();
    let mut left = MAX_HEADERS_BYTES;
    // What we wrote ourselves goes first: whatever else fills the frame, the reason gets through.
    let mut headers: Vec<_> = wire.headers.iter().collect();
    headers.sort_by_key(|(name, _)| rank(name));
    for (name, value) in headers {
        let bytes = name.len() + value.len() + HEADER_OVERHEAD_BYTES;
        if is_brokers_own(name) || bytes > left {
            continue;
        }
        if let Ok(name) = ShortString::try_new(name.as_str()) {
            left -= bytes;
            table.insert(name, AMQPValue::LongString(value.as_str().into()));
        }
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(table);
    if let Some(id) = short(wire.header(header::ID)) {
        properties = properties.with_message_id(id);
    }
    if let Some(content_type) = short(wire.content_type.as_deref()) {
        properties = properties.with_content_type(content_type);
    }
    properties
}

/// The order in which headers are written: ours on what became of the message, the trace, the envelope, all others.
fn rank(name: &str) -> u8 {
    match name {
        _ if name.starts_with("waypost-") => 0,
        header::TRACEPARENT | header::TRACESTATE => 1,
        _ if name.starts_with("cloudEvents_") => 2,
        _ => 3,
    }
}

fn short(text: Option<&str>) -> Option<ShortString> {
    ShortString::try_new(text?).ok()
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortInt(value) => Some(value.to_string()),
        AMQPValue::LongInt(value) => Some(value.to_string()),
        AMQPValue::LongLongInt(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_persistent_and_carries_no_header_of_the_broker() {
        let mut wire = Wire {
            content_type: Some("application/json".into()),
            ..Wire::default()
        };
        wire.set(header::ID, "1");
        wire.set("x-death", "a");
        let properties = properties(&wire);
        let headers = properties.headers().as_ref().unwrap();
        assert!(!headers.contains_key("x-death") && headers.contains_key(header::ID));
        assert_eq!(*properties.delivery_mode(), Some(PERSISTENT));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "1");
    }

    #[test]
    fn very_many_headers_fit_into_a_frame_as_well() {
        let mut wire = Wire::default();
        for number in 0..30_000 {
            wire.set(&format!("{number:x}"), "");
        }
        let properties = properties(&wire);
        let headers = properties.headers().as_ref().unwrap();
        let bytes: usize = headers.inner().keys().map(|name| 1 + name.as_str().len() + 1 + 4).sum();
        assert!(bytes <= MAX_HEADERS_BYTES, "{bytes}");
    }

    #[test]
    fn the_reason_leaves_before_whatever_fills_the_frame() {
        for filling in ["a-foreign-one", header::ID] {
            let mut wire = Wire::default();
            wire.set(filling, "x".repeat(MAX_HEADERS_BYTES - filling.len()));
            wire.set(header::REASON, "why");
            let properties = properties(&wire);
            let headers = properties.headers().as_ref().unwrap();
            assert!(headers.contains_key(header::REASON) && !headers.contains_key(filling));
        }
    }
}
