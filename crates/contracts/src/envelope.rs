//! The envelope of a message: CloudEvents 1.0 in binary mode.
//!
//! The attributes travel as AMQP headers with the prefix `cloudEvents_` (CloudEvents AMQP
//! protocol binding 1.0), the body is the data alone, as JSON. `message_id` repeats the id, so that
//! a broker's own tools show it.

use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;
use uuid::Uuid;

/// Content type of every message body.
pub const CONTENT_TYPE: &str = "application/json";
/// Version of the CloudEvents specification that the headers follow.
pub const SPEC_VERSION: &str = "1.0";
/// Largest body, in bytes, that a producer writes and a consumer reads.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Names of the headers.
pub mod header {
    /// CloudEvents specification version.
    pub const SPEC_VERSION: &str = "cloudEvents_specversion";
    /// Unique id of the event: what an inbox remembers.
    pub const ID: &str = "cloudEvents_id";
    /// Service that wrote the event.
    pub const SOURCE: &str = "cloudEvents_source";
    /// Type with its version, for example `user.registered.v1`.
    pub const TYPE: &str = "cloudEvents_type";
    /// When it happened, RFC 3339 UTC.
    pub const TIME: &str = "cloudEvents_time";
    /// Id of the aggregate that the event is about.
    pub const SUBJECT: &str = "cloudEvents_subject";
    /// Id of the event that caused this one.
    pub const CAUSATION_ID: &str = "cloudEvents_causationid";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C Trace Context, vendor part.
    pub const TRACESTATE: &str = "tracestate";
    /// How many attempts of the consumer at this message have failed so far.
    pub const ATTEMPT: &str = "waypost-attempt";
    /// Why the first attempt failed.
    pub const FIRST_ERROR: &str = "waypost-first-error";
    /// Why the last attempt failed.
    pub const LAST_ERROR: &str = "waypost-last-error";
    /// When the last attempt failed, RFC 3339 UTC.
    pub const FAILED_AT: &str = "waypost-failed-at";
    /// Why the message is in a dead-letter queue.
    pub const REASON: &str = "waypost-reason";
    /// What failed and where, without the parts that differ between messages: messages that failed alike have the same text.
    pub const CAUSE: &str = "waypost-cause";
    /// Id of the replay that put the message back into its queue, if one did.
    pub const REPLAY: &str = "waypost-replay";
    /// W3C Trace Context of the first life of a message that was replayed.
    pub const FIRST_TRACE: &str = "waypost-first-trace";
}

/// The data of one message type.
pub trait EventData: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Type with its version; the routing key on the events exchange.
    const TYPE: &'static str;

    /// A usual message. The golden file of the type, the description of messages and tests show this one.
    fn example() -> Self;
}

/// An event as a producer hands it to its outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<T> {
    /// Unique id; stays the same however often the event is published.
    pub id: Uuid,
    /// Id of the aggregate: one aggregate's events are published in order.
    pub subject: Uuid,
    /// When it happened.
    pub time: OffsetDateTime,
    /// The event that caused this one.
    pub causation_id: Option<Uuid>,
    /// The facts.
    pub data: T,
}

impl<T: EventData> Event<T> {
    /// Makes an event with a new id (UUIDv7, RFC 9562) and no cause.
    pub fn new(subject: Uuid, time: OffsetDateTime, data: T) -> Self {
        Self {
            id: Uuid::now_v7(),
            subject,
            time,
            causation_id: None,
            data,
        }
    }

    /// Names the event that caused this one.
    #[must_use]
    pub fn caused_by(mut self, id: Uuid) -> Self {
        self.causation_id = Some(id);
        self
    }
}
