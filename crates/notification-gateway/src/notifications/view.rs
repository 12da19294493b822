//! What people see of a notification: the JSON of the API and of the stream.

use std::collections::{BTreeMap, HashMap};

use common::Timestamp;
use common::dispatch::{Delivery, Reason, Status};
use sea_orm::{ConnectionTrait, DbErr};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::tables::deliveries;
use crate::tables::notifications::{Model, ReadState};

/// A notification.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub(crate) struct NotificationView {
    id: Uuid,
    /// Counts the person's notifications, without gaps.
    pub(super) seq: i64,
    kind: String,
    category: String,
    title: String,
    body: String,
    /// Depends on the kind.
    data: Value,
    state: ReadState,
    /// Status of its delivery, by channel.
    #[schema(example = json!({"in_app": "delivered", "email": "accepted"}))]
    channels: BTreeMap<String, Status>,
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
    status: Status,
    reason: Option<Reason>,
    attempts: i32,
    /// Only while it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// Of one that did not go through yet, or at all.
    #[schema(value_type = Option<String>)]
    last_error: Option<&'static str>,
    trace_id: Option<String>,
}

/// Status of each delivery, by event and channel.
type Channels = HashMap<Uuid, BTreeMap<String, Status>>;

/// Joins notifications with how each travelled.
pub(super) async fn views(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    rows: Vec<Model>,
) -> Result<Vec<NotificationView>, DbErr> {
    let channels = channels_of(connection, user_id, &rows.iter().collect::<Vec<_>>()).await?;
    Ok(rows.into_iter().map(|row| join(row, &channels)).collect())
}

/// Joins one notification with how it travelled.
pub(super) async fn view(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    row: Model,
) -> Result<NotificationView, DbErr> {
    let channels = channels_of(connection, user_id, &[&row]).await?;
    Ok(join(row, &channels))
}

async fn channels_of(connection: &impl ConnectionTrait, user_id: Uuid, rows: &[&Model]) -> Result<Channels, DbErr> {
    let events = rows.iter().map(|row| row.source_event_id).collect();
    let mut channels = Channels::new();
    for (event, channel, status) in deliveries::channels(connection, user_id, events).await? {
        channels.entry(event).or_default().insert(channel, status);
    }
    Ok(channels)
}

fn join(row: Model, channels: &Channels) -> NotificationView {
    NotificationView {
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
    }
}

/// What a person is told of a failed try. The provider's own words may be about our account; they are for operators alone.
const fn told(status: Status, reason: Option<Reason>, attempts: i32) -> &'static str {
    match (status, reason) {
        (Status::Failed, Some(Reason::Rejected)) => "it was refused for good",
        (Status::Failed, Some(Reason::Unknown)) => "nobody said whether it arrived, and it is not sent twice",
        (Status::Failed, _) => "it was given up: no try went through in time",
        (Status::Expired, _) => "its time was over before a try went through",
        (Status::Cancelled, _) if attempts > 0 => {
            "it was taken back after tries that did not go through, one of which may have arrived"
        }
        (Status::Cancelled, _) => "it was taken back before it was sent",
        _ => "no try went through yet; it is tried again",
    }
}

impl DeliveryView {
    pub(super) fn new(notification_id: Uuid, row: Delivery) -> Self {
        Self {
            trace_id: row.trace().map(|trace| trace.trace_id().to_owned()),
            next_attempt_at: (row.status == Status::Pending).then_some(row.next_attempt_at),
            id: row.id,
            notification_id,
            channel: row.channel,
            provider: row.provider,
            status: row.status,
            reason: row.reason,
            attempts: row.attempts,
            last_error: row
                .last_error
                .is_some()
                .then(|| told(row.status, row.reason, row.attempts)),
        }
    }
}
