//! How a delivery comes into its table.

use sea_orm::{ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, TryInsertResult};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Reason, Status, delivery};
use crate::Timestamp;
use crate::messaging::Change;
use crate::telemetry::TraceContext;

/// Writes the deliveries of a JSON array; a column that it leaves out has a default.
const INSERT_ON_POSTGRES: &str = "INSERT INTO deliveries \
    (id, source_event_id, channel, recipient, destination, status, next_attempt_at, expires_at, priority, \
     traceparent, tracestate, payload, provider, created_at, updated_at) \
    SELECT id, source_event_id, channel, recipient, destination, 'pending', next_attempt_at, expires_at, priority, \
           traceparent, tracestate, COALESCE(payload, 'null'), provider, created_at, created_at \
    FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS listed \
         (id uuid, source_event_id uuid, channel text, recipient text, destination text, next_attempt_at bigint, \
          expires_at bigint, priority integer, traceparent text, tracestate text, payload jsonb, provider text, \
          created_at bigint) \
    ON CONFLICT (source_event_id, channel, recipient) DO NOTHING";
const INSERT_ON_SQLITE: &str = "INSERT INTO deliveries \
    (id, source_event_id, channel, recipient, destination, status, next_attempt_at, expires_at, priority, \
     traceparent, tracestate, payload, provider, created_at, updated_at) \
    SELECT unhex(value ->> 'id'), unhex(value ->> 'source_event_id'), value ->> 'channel', value ->> 'recipient', \
           value ->> 'destination', 'pending', value ->> 'next_attempt_at', value ->> 'expires_at', \
           value ->> 'priority', value ->> 'traceparent', value ->> 'tracestate', value -> 'payload', \
           value ->> 'provider', value ->> 'created_at', value ->> 'created_at' \
    FROM json_each($1) WHERE true \
    ON CONFLICT (source_event_id, channel, recipient) DO NOTHING";

/// A delivery to be made.
#[derive(Clone)]
pub struct NewDelivery {
    /// Its id; a new `UUIDv7` unless the caller needs to know it.
    pub id: Uuid,
    /// The event that asks for it.
    pub source_event_id: Uuid,
    /// How it travels.
    pub channel: &'static str,
    /// To whom; one event makes at most one delivery for each channel and recipient.
    pub recipient: String,
    /// What is called; caps and pauses count for each destination.
    pub destination: String,
    /// Provider that has it, if one has; a try replaces it.
    pub provider: Option<String>,
    /// What the sender needs.
    pub payload: Value,
    /// It is not tried before this time; none: it is due at once.
    pub deliver_at: Option<Timestamp>,
    /// It is not tried after this time; none: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Higher goes first; 0 is usual.
    pub priority: i32,
}

/// How a delivery stands that no dispatcher of this service made.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Where it stands.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// What its provider calls it.
    pub provider_message_id: Option<String>,
}

impl NewDelivery {
    /// A delivery that is due at once, without provider, expiry or payload, and of usual priority.
    pub fn new(source_event_id: Uuid, channel: &'static str, recipient: String, destination: String) -> Self {
        Self {
            id: Uuid::now_v7(),
            source_event_id,
            channel,
            recipient,
            destination,
            provider: None,
            payload: Value::Null,
            deliver_at: None,
            expires_at: None,
            priority: 0,
        }
    }
}

impl std::fmt::Debug for NewDelivery {
    /// Without recipient and payload, which are personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewDelivery")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// Adds a delivery that is due at once or from its `deliver_at` on, with the current trace. Wake the dispatcher after the
/// commit.
///
/// Answers with its id, or with `None` when the event has asked for a delivery to this recipient over this channel before.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn enqueue(tx: &impl ConnectionTrait, delivery: NewDelivery, now: Timestamp) -> Result<Option<Uuid>, DbErr> {
    insert(tx, row(delivery, now)).await
}

/// As [`enqueue`], but the row is written when `change` is committed, in one statement with all that were added so: for
/// intakes that share a change.
///
/// Where the event has asked for a delivery to this recipient over this channel before, there is no other.
pub fn enqueue_last(change: &mut Change, delivery: &NewDelivery, now: Timestamp) {
    let insert = match change.tx().get_database_backend() {
        DbBackend::Postgres => INSERT_ON_POSTGRES,
        _ => INSERT_ON_SQLITE,
    };
    let trace = TraceContext::current();
    let row = json!({
        "id": delivery.id.simple().to_string(),
        "source_event_id": delivery.source_event_id.simple().to_string(),
        "channel": delivery.channel,
        "recipient": delivery.recipient,
        "destination": delivery.destination,
        "next_attempt_at": due(delivery, now).as_micros(),
        "expires_at": delivery.expires_at.map(Timestamp::as_micros),
        "priority": delivery.priority,
        "traceparent": trace.traceparent,
        "tracestate": trace.tracestate,
        "payload": delivery.payload,
        "provider": delivery.provider,
        "created_at": now.as_micros(),
    });
    change.write_last(insert, row);
}

/// Adds a delivery that was made elsewhere, so that it can be looked up like the others. It counts one attempt.
///
/// Answers with its id, or with `None` when it was there already.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn insert_settled(
    tx: &impl ConnectionTrait,
    delivery: NewDelivery,
    settled: Settled,
    now: Timestamp,
) -> Result<Option<Uuid>, DbErr> {
    let mut row = row(delivery, now);
    row.status = ActiveValue::Set(settled.status);
    row.reason = ActiveValue::Set(Some(settled.reason));
    row.provider_message_id = ActiveValue::Set(settled.provider_message_id);
    row.attempts = ActiveValue::Set(1);
    insert(tx, row).await
}

fn due(delivery: &NewDelivery, now: Timestamp) -> Timestamp {
    delivery.deliver_at.map_or(now, |at| at.max(now))
}

fn row(delivery: NewDelivery, now: Timestamp) -> delivery::ActiveModel {
    let trace = TraceContext::current();
    let next_attempt_at = due(&delivery, now);
    delivery::Model {
        id: delivery.id,
        source_event_id: delivery.source_event_id,
        channel: delivery.channel.to_owned(),
        recipient: delivery.recipient,
        destination: delivery.destination,
        status: Status::Pending,
        reason: None,
        attempts: 0,
        next_attempt_at,
        lease_until: None,
        lease_number: 0,
        lease_holder: None,
        expires_at: delivery.expires_at,
        priority: delivery.priority,
        traceparent: Some(trace.traceparent),
        tracestate: trace.tracestate,
        payload: delivery.payload,
        last_error: None,
        provider: delivery.provider,
        provider_message_id: None,
        retry_now: false,
        resend_of: None,
        origin_event_id: None,
        created_at: now,
        updated_at: now,
    }
    .into()
}

async fn insert(tx: &impl ConnectionTrait, row: delivery::ActiveModel) -> Result<Option<Uuid>, DbErr> {
    use delivery::Column::{Channel, Recipient, SourceEventId};
    let id = row.id.clone().take();
    let inserted = delivery::Entity::insert(row)
        .on_conflict_do_nothing_on([SourceEventId, Channel, Recipient])
        .exec_without_returning(tx)
        .await?;
    Ok(match inserted {
        TryInsertResult::Inserted(1..) => id,
        TryInsertResult::Inserted(0) | TryInsertResult::Conflicted | TryInsertResult::Empty => None,
    })
}
