//! A delivery as an operator sees it: how it stands, and each exchange about it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Timestamp;
use crate::dispatch::{Delivery, ExchangeStatus, Reason, Status, attempt};

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatedDelivery)]
pub(in crate::operations) struct DeliveryView {
    id: Uuid,
    /// The event that asked for it.
    pub(in crate::operations) source_event_id: Uuid,
    channel: String,
    /// To whom: an address, a number or a person's id.
    recipient: String,
    /// What is called: the unit of caps and pauses.
    destination: String,
    status: Status,
    #[schema(required)]
    reason: Option<Reason>,
    /// Who has it, or may have it.
    #[schema(required)]
    provider: Option<String>,
    #[schema(required)]
    provider_message_id: Option<String>,
    /// Tries that count towards its schedule.
    attempt_count: i32,
    /// Only while it waits.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(required)]
    last_error: Option<String>,
    #[schema(required)]
    trace_id: Option<String>,
    /// The delivery that this one is a copy of, which an operator ordered.
    #[schema(required)]
    resend_of: Option<Uuid>,
    /// The event that asked for the first of them.
    #[schema(required)]
    origin_event_id: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Each exchange that reached somebody, counted or not, in their order; the newest twenty.
    attempts: Vec<AttemptView>,
}

/// One exchange about a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatedAttempt)]
struct AttemptView {
    /// In which of the delivery's tries.
    attempt: i32,
    /// When what came of it was written down.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who was asked.
    provider: String,
    status: ExchangeStatus,
    /// What they answered, without what was sent.
    #[schema(required)]
    answer: Option<String>,
    /// Why it ended so.
    #[schema(required)]
    reason: Option<String>,
    /// When the delivery was to be tried again after it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
}

impl From<attempt::Model> for AttemptView {
    fn from(row: attempt::Model) -> Self {
        Self {
            attempt: row.attempt,
            at: row.at,
            provider: row.provider,
            status: row.status,
            answer: row.answer,
            reason: row.reason,
            next_attempt_at: row.next_attempt_at,
        }
    }
}

impl DeliveryView {
    fn new(row: Delivery, attempts: Vec<AttemptView>) -> Self {
        Self {
            trace_id: row.trace().map(|trace| trace.trace_id().to_owned()),
            next_attempt_at: (row.status == Status::Pending).then_some(row.next_attempt_at),
            id: row.id,
            source_event_id: row.source_event_id,
            channel: row.channel,
            recipient: row.recipient,
            destination: row.destination,
            status: row.status,
            reason: row.reason,
            provider: row.provider,
            provider_message_id: row.provider_message_id,
            attempt_count: row.attempts,
            expires_at: row.expires_at,
            last_error: row.last_error,
            resend_of: row.resend_of,
            origin_event_id: row.origin_event_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            attempts,
        }
    }
}

/// Joins deliveries with what was exchanged about each.
pub(in crate::operations) async fn views(
    connection: &impl ConnectionTrait,
    rows: Vec<Delivery>,
) -> Result<Vec<DeliveryView>, DbErr> {
    let mut exchanged: HashMap<Uuid, Vec<AttemptView>> = HashMap::new();
    if !rows.is_empty() {
        for one in attempt::of(connection, &rows).await? {
            exchanged.entry(one.delivery_id).or_default().push(one.into());
        }
    }
    let join = |row: Delivery| {
        let attempts = exchanged.remove(&row.id).unwrap_or_default();
        DeliveryView::new(row, attempts)
    };
    Ok(rows.into_iter().map(join).collect())
}
