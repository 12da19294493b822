//! What people see of a notification: the JSON of the API and of the stream.

use std::collections::{BTreeMap, HashMap};

use common::Timestamp;
use common::dispatch::{Delivery, Status};
use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::storage::deliveries;
use crate::storage::notifications::{Model, ReadState};

/// A notification.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub(crate) struct NotificationView {
    id: Uuid,
    /// Counts the person's notifications, without gaps.
    pub(crate) seq: i64,
    kind: String,
    category: String,
    title: String,
    body: String,
    /// Depends on the kind.
    data: Value,
    state: ReadState,
    /// Status of its delivery, by channel.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"in_app": "delivered", "email": "accepted"}))]
    channels: BTreeMap<String, &'static str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
}

/// How a notification travels over one channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    id: Uuid,
    notification_id: Uuid,
    channel: String,
    provider: Option<String>,
    /// pending, sending, accepted, delivered, failed, suppressed, expired
    status: &'static str,
    /// accepted, delivered, suppressed, preference, `quiet_hours`, `no_address`, expired, rejected, exhausted
    #[schema(value_type = Option<String>)]
    reason: Option<common::dispatch::Reason>,
    attempts: i32,
    /// Only while it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    last_error: Option<String>,
    trace_id: Option<String>,
}

/// Joins notifications with how each travelled.
pub(crate) async fn views(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    rows: Vec<Model>,
) -> Result<Vec<NotificationView>, DbErr> {
    let events = rows.iter().map(|row| row.source_event_id).collect();
    let mut channels: HashMap<Uuid, BTreeMap<String, &'static str>> = HashMap::new();
    for (event, channel, status) in deliveries::channels(connection, user_id, events).await? {
        channels.entry(event).or_default().insert(channel, status.as_str());
    }
    let view = |row: Model| NotificationView {
        channels: channels.get(&row.source_event_id).cloned().unwrap_or_default(),
        id: row.id,
        seq: row.seq,
        kind: row.kind,
        category: row.category,
        title: row.title,
        body: row.body,
        data: row.data,
        state: row.state,
        created_at: row.created_at,
        read_at: row.read_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

impl DeliveryView {
    pub(crate) fn new(notification_id: Uuid, row: Delivery) -> Self {
        Self {
            trace_id: row.trace().map(|trace| trace.trace_id().to_owned()),
            next_attempt_at: (row.status == Status::Pending).then_some(row.next_attempt_at),
            id: row.id,
            notification_id,
            channel: row.channel,
            provider: row.provider,
            status: row.status.as_str(),
            reason: row.reason,
            attempts: row.attempts,
            last_error: row.last_error,
        }
    }
}
