//! The rule of every notification: what it is, and over which channels it goes.

use common::Timestamp;
use common::dispatch::{NewDelivery, Reason, Settled, Status, enqueue, insert_settled};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::channels::{IN_APP, SMS, SMS_PROVIDER, SmsPayload};
use crate::tables::notifications::{self, ReadState};
use crate::tables::recipients;

/// What a person is told.
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) category: &'static str,
    pub(crate) title: String,
    pub(crate) body: String,
    /// The same for a channel out of the product, where programs make links of what looks like one.
    pub(crate) text_outside: String,
    pub(crate) data: Value,
}

/// Writes a notification and a delivery a channel; the recipient's row is locked by the caller's upsert.
///
/// Answers with its number among the person's, or with `None` when this event made it before.
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
    let delivery = |channel, destination: &str| {
        NewDelivery::new(source_event_id, channel, user_id.to_string(), destination.to_owned())
    };
    // In the product it has arrived with the commit.
    let here = Settled {
        status: Status::Delivered,
        reason: Reason::Delivered,
        provider_message_id: None,
    };
    insert_settled(tx, delivery(IN_APP, IN_APP), here, now).await?;
    if let Some(phone) = &recipient.phone {
        let mut sms = delivery(SMS, SMS);
        sms.provider = Some(SMS_PROVIDER.to_owned());
        sms.payload = json!(SmsPayload {
            to: phone.clone(),
            text: content.text_outside
        });
        enqueue(tx, sms, now).await?;
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
