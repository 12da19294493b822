//! The rule of every notification: what it is, and over which channels it goes.

use common::Timestamp;
use common::dispatch::{enqueue, insert_settled};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::Value;
use uuid::Uuid;

use crate::channels::{Notice, Planned, plan};
use crate::tables::notifications::{self, ReadState};
use crate::tables::recipients;

/// What a person is told.
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) category: &'static str,
    pub(crate) title: String,
    pub(crate) body: String,
    /// The same for a channel outside of the product, where programs make links of what looks like one.
    pub(crate) text_outside: String,
    pub(crate) data: Value,
}

/// Writes a notification, and one delivery for each channel. The caller's upsert has locked the recipient's row.
///
/// Answers with its number among the person's notifications, or with `None` when this event has made it before.
pub(crate) async fn notify(
    tx: &impl ConnectionTrait,
    recipient: &recipients::Model,
    source_event_id: Uuid,
    content: Content,
    now: Timestamp,
) -> Result<Option<i64>, DbErr> {
    let user_id = recipient.user_id;
    if notifications::exists(tx, user_id, source_event_id, content.kind).await? {
        return Ok(None);
    }
    let seq = recipients::next_seq(tx, user_id).await?;
    let id = Uuid::now_v7();
    let notice = Notice {
        recipient,
        source_event_id,
        text_outside: &content.text_outside,
    };
    for planned in plan(&notice) {
        match planned {
            Planned::Sent(delivery) => enqueue(tx, delivery, now).await?,
            Planned::Arrived(delivery, settled) => insert_settled(tx, delivery, settled, now).await?,
        };
    }
    let row = notifications::Model {
        id,
        user_id,
        seq,
        source_event_id,
        kind: content.kind.to_owned(),
        category: content.category.to_owned(),
        title: content.title,
        body: content.body,
        data: content.data,
        state: ReadState::Unread,
        read_at: None,
        created_at: now,
        updated_at: now,
    };
    notifications::insert(tx, row).await?;
    Ok(Some(seq))
}
