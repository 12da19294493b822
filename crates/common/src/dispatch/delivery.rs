//! The table `deliveries`, one shape in every service that sends.

use sea_orm::entity::prelude::*;

use super::{Reason, Status};
use crate::Timestamp;
use crate::telemetry::TraceContext;

/// One message to one recipient over one channel.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    /// Its id; also the idempotency key, by which a destination can recognise a second try.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The event that asked for it.
    pub source_event_id: Uuid,
    /// Name of the channel over which it travels.
    pub channel: String,
    /// To whom; unique together with the event and the channel.
    pub recipient: String,
    /// What is called to send it; a slow destination holds up no other.
    pub destination: String,
    /// Where it stands.
    pub status: Status,
    /// Why, once it has ended.
    pub reason: Option<Reason>,
    /// How many tries were begun and counted, the one under way included.
    pub attempts: i32,
    /// It is not tried before this time.
    pub next_attempt_at: Timestamp,
    /// While it is being sent: when the lease ends unless it is renewed.
    pub lease_until: Option<Timestamp>,
    /// One more with each lease: an outcome under an older number is refused.
    pub lease_number: i64,
    /// Which dispatcher has it, or left it behind.
    pub lease_holder: Option<Uuid>,
    /// It is not tried after this time; none: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Higher goes first.
    pub priority: i32,
    /// The trace in which it was asked for (W3C Trace Context).
    pub traceparent: Option<String>,
    /// The vendors' part of that trace context.
    pub tracestate: Option<String>,
    /// What the sender needs.
    pub payload: Json,
    /// How the last try failed.
    pub last_error: Option<String>,
    /// Provider that has it, or may have it and is the only one to be asked again; none: any may be asked.
    pub provider: Option<String>,
    /// The provider's own id for it.
    pub provider_message_id: Option<String>,
    /// Whether an operator lets it through: its next try is made even while its destination rests, as a probe.
    pub retry_now: bool,
    /// The delivery that this one is a copy of, which an operator ordered.
    pub resend_of: Option<Uuid>,
    /// For a copy: the event that asked for the first delivery.
    pub origin_event_id: Option<Uuid>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// No relations: a delivery refers to events of other services, by their ids.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// When the event happened that asked for it: the time in the event's id, if that is a `UUIDv7`, else `created_at`.
    pub(super) fn caused_at(&self) -> Timestamp {
        let in_id = self.source_event_id.get_timestamp().map(|at| at.to_unix());
        let micros = in_id.and_then(|(seconds, nanos)| {
            let seconds = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
            seconds.checked_add(i64::from(nanos / 1_000))
        });
        micros.map_or(self.created_at, Timestamp::from_micros)
    }

    /// Id of the event that it goes back to: for a copy, the one that asked for the first delivery.
    pub fn event_id(&self) -> Uuid {
        self.origin_event_id.unwrap_or(self.source_event_id)
    }

    /// The trace in which it was asked for.
    pub fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.traceparent.as_deref(), self.tracestate.as_deref())
    }
}

impl std::fmt::Debug for Model {
    /// Without recipient and payload, which are personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .field("lease_number", &self.lease_number)
            .finish_non_exhaustive()
    }
}
