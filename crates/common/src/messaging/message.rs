//! A message: on its way out as the outbox keeps it, and as it arrived, with its envelope read.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use contracts::envelope::{CONTENT_TYPE, MAX_BODY_BYTES, SPEC_VERSION, header};
use contracts::topology::Queue;
use contracts::{Event, EventData};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::rejection::Rejection;
use super::wire::Wire;
use crate::Timestamp;
use crate::config::Service;
use crate::telemetry::TraceContext;

/// A message on its way out, as the outbox keeps it.
#[derive(Clone)]
pub struct OutboundMessage {
    id: Uuid,
    kind: String,
    wire: Wire,
}

impl OutboundMessage {
    /// Writes `event` of `source` in the form in which it travels: CloudEvents 1.0, binary mode.
    ///
    /// # Errors
    /// When the data can't be written as JSON.
    pub fn of<T: EventData>(source: Service, event: &Event<T>, trace: TraceContext) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_vec(&event.data)?;
        let mut wire = Wire {
            content_type: Some(CONTENT_TYPE.to_owned()),
            headers: BTreeMap::new(),
            body: body.into(),
        };
        wire.set(header::SPEC_VERSION, SPEC_VERSION);
        wire.set(header::ID, event.id.to_string());
        wire.set(header::SOURCE, source.name());
        wire.set(header::TYPE, T::TYPE);
        wire.set(header::TIME, Timestamp::from(event.time).to_rfc3339());
        wire.set(header::SUBJECT, event.subject.to_string());
        if let Some(cause) = event.causation_id {
            wire.set(header::CAUSATION_ID, cause.to_string());
        }
        wire.set_trace(trace);
        Ok(Self {
            id: event.id,
            kind: T::TYPE.to_owned(),
            wire,
        })
    }

    /// A message from parts that were stored, or that a test invents; nothing is checked.
    pub fn from_parts(id: Uuid, kind: String, headers: BTreeMap<String, String>, body: Bytes) -> Self {
        let wire = Wire {
            content_type: Some(CONTENT_TYPE.to_owned()),
            headers,
            body,
        };
        Self { id, kind, wire }
    }

    /// Unique id: stays the same however often the message is sent.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Type with its version; the routing key.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Headers as they travel.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.wire.headers
    }

    /// Body as it travels.
    pub fn body(&self) -> &Bytes {
        &self.wire.body
    }

    /// Where the trace stood when the message was written.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        self.wire.trace()
    }

    pub(super) fn into_wire(mut self, trace: TraceContext) -> Wire {
        self.wire.set_trace(trace);
        self.wire
    }
}

impl fmt::Debug for OutboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wire.fmt(f)
    }
}

/// A message that arrived, its envelope read and checked.
#[derive(Clone)]
pub struct Message {
    /// Unique id of the event: what the inbox remembers.
    pub id: Uuid,
    /// Type with its version, for example `user.registered.v1`.
    pub kind: String,
    /// Service that wrote it.
    pub source: String,
    /// The aggregate that it is about.
    pub subject: Option<Uuid>,
    /// When it happened.
    pub time: Timestamp,
    /// The event that caused it.
    pub causation_id: Option<Uuid>,
    /// Which attempt this is, from 1. What was handed back, since the message was not to blame, does not count.
    pub attempt: u32,
    /// The data, as JSON.
    pub body: Bytes,
}

impl Message {
    /// Reads the data as `T`.
    ///
    /// # Errors
    /// [`Rejection::DeadLetter`] when it is of another type or is no valid `T`: no retry would change that.
    pub fn decode<T: EventData>(&self) -> Result<T, Rejection> {
        if self.kind != T::TYPE {
            return Err(Rejection::dead_letter(format!(
                "expected the type {}, got {}",
                T::TYPE,
                self.kind
            )));
        }
        serde_json::from_slice(&self.body).map_err(|error| Rejection::dead_letter(undecodable(&error)))
    }

    /// The message as which `event` of `source` arrives, at its first attempt: for tests of intakes.
    ///
    /// # Errors
    /// When the data can't be written as JSON.
    pub fn of<T: EventData>(source: Service, event: &Event<T>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: event.id,
            kind: T::TYPE.to_owned(),
            source: source.name().to_owned(),
            subject: Some(event.subject),
            time: event.time.into(),
            causation_id: event.causation_id,
            attempt: 1,
            body: serde_json::to_vec(&event.data)?.into(),
        })
    }

    /// Reads and checks the envelope of what arrived from `queue`; the error says what is wrong, without quoting the body.
    pub(super) fn read(queue: &Queue, wire: &Wire) -> Result<Self, String> {
        let content_type = wire.content_type.as_deref().unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(CONTENT_TYPE) {
            return Err(format!("the content type is not {CONTENT_TYPE}"));
        }
        if wire.body.len() > MAX_BODY_BYTES {
            return Err(format!(
                "the body has {} bytes, more than {MAX_BODY_BYTES}",
                wire.body.len()
            ));
        }
        if wire.header(header::SPEC_VERSION) != Some(SPEC_VERSION) {
            return Err(format!("{} is not {SPEC_VERSION}", header::SPEC_VERSION));
        }
        let kind = required(wire, header::TYPE)?;
        if !queue.bindings.contains(&kind) {
            return Err(format!("unknown type {}", limited(kind, 100)));
        }
        let time = required(wire, header::TIME)?;
        let time = OffsetDateTime::parse(time, &Rfc3339).map_err(|_| format!("{} is no time", header::TIME))?;
        Ok(Self {
            id: uuid(wire, header::ID)?.ok_or_else(|| missing(header::ID))?,
            kind: kind.to_owned(),
            source: required(wire, header::SOURCE)?.to_owned(),
            subject: uuid(wire, header::SUBJECT)?,
            time: time.into(),
            causation_id: uuid(wire, header::CAUSATION_ID)?,
            attempt: wire.count(header::ATTEMPT).saturating_add(1),
            body: wire.body.clone(),
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

fn required<'a>(wire: &'a Wire, name: &str) -> Result<&'a str, String> {
    wire.header(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> String {
    format!("the header {name} is missing")
}

fn uuid(wire: &Wire, name: &str) -> Result<Option<Uuid>, String> {
    wire.header(name)
        .map(|text| text.parse().map_err(|_| format!("the header {name} is no id")))
        .transpose()
}

/// What is wrong with the JSON, without quoting it: serde names wrong values, which may be personal data.
fn undecodable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        return format!("undecodable: {text}");
    }
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field has the wrong form",
        _ => "no valid JSON",
    };
    format!("undecodable: {what} at line {} column {}", error.line(), error.column())
}

/// `text`, cut to `bytes` at most, between two characters.
pub(super) fn limited(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use contracts::events::{Person, UserRegistered};
    use contracts::topology::EMAIL_WORKER_EVENTS;

    use super::*;

    fn event() -> Event<UserRegistered> {
        let user_id = Uuid::now_v7();
        let person = Person {
            user_id,
            ..Person::example()
        };
        Event::new(user_id, OffsetDateTime::UNIX_EPOCH, UserRegistered { person })
    }

    fn wire() -> Wire {
        let message = OutboundMessage::of(Service::UserApi, &event(), TraceContext::fresh()).unwrap();
        message.into_wire(TraceContext::fresh())
    }

    #[test]
    fn what_was_written_can_be_read() {
        let event = event().caused_by(Uuid::now_v7());
        let sent = OutboundMessage::of(Service::UserApi, &event, TraceContext::fresh()).unwrap();
        let message = Message::read(&EMAIL_WORKER_EVENTS, &sent.into_wire(TraceContext::fresh())).unwrap();
        assert_eq!(
            (message.id, message.subject, message.attempt),
            (event.id, Some(event.subject), 1)
        );
        assert_eq!(
            (message.source.as_str(), message.causation_id),
            ("user-api", event.causation_id)
        );
        assert_eq!(message.decode::<UserRegistered>().unwrap(), event.data);
    }

    #[test]
    fn a_bad_envelope_says_what_is_wrong() {
        let cases: [(&str, &str, &str); 6] = [
            (header::SPEC_VERSION, "2.0", "specversion"),
            (header::TYPE, "user.registered.v9", "unknown type user.registered.v9"),
            (header::ID, "no-id", "cloudEvents_id"),
            (header::TIME, "yesterday", "no time"),
            (header::SUBJECT, "me", "cloudEvents_subject"),
            (header::CAUSATION_ID, "x", "causationid"),
        ];
        for (name, value, expected) in cases {
            let mut wire = wire();
            wire.set(name, value);
            let reason = Message::read(&EMAIL_WORKER_EVENTS, &wire).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn another_content_type_and_too_large_a_body_are_refused() {
        let mut other = wire();
        other.content_type = Some("text/plain".into());
        assert!(
            Message::read(&EMAIL_WORKER_EVENTS, &other)
                .unwrap_err()
                .contains("content type")
        );
        let mut large = wire();
        large.body = vec![b' '; MAX_BODY_BYTES + 1].into();
        assert!(
            Message::read(&EMAIL_WORKER_EVENTS, &large)
                .unwrap_err()
                .contains("bytes")
        );
    }

    #[test]
    fn the_reason_of_an_undecodable_body_quotes_nothing_of_it() {
        let mut wire = wire();
        wire.body = Bytes::from_static(br#"{"user_id":"ada@example.org"}"#);
        let message = Message::read(&EMAIL_WORKER_EVENTS, &wire).unwrap();
        let Err(Rejection::DeadLetter { reason }) = message.decode::<UserRegistered>() else {
            panic!("it was decoded");
        };
        assert!(reason.contains("wrong form") && !reason.contains("ada"), "{reason}");
    }
}
