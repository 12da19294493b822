//! email-worker sent a mail: it joins the notification that the same event made, whichever came first.

use common::Timestamp;
use common::dispatch::{NewDelivery, Reason, Settled, Status, insert_settled};
use common::messaging::{Change, Message, Rejection};
use contracts::events::EmailSent;
use serde_json::json;

use crate::channels::EMAIL;

/// Writes the mail down as a delivery beside the others of its event.
pub(super) async fn take(message: &Message, change: &mut Change) -> Result<(), Rejection> {
    let event: EmailSent = message.decode()?;
    let source = message.source.clone();
    let delivery = NewDelivery {
        provider: Some(source.clone()),
        payload: json!({"email_id": event.email_id, "template": event.template}),
        ..NewDelivery::new(event.source_event_id, EMAIL, event.user_id.to_string(), source)
    };
    // A mail server took responsibility; whether it arrived, only a bounce would tell.
    let settled = Settled {
        status: Status::Accepted,
        reason: Reason::Accepted,
        provider_message_id: Some(event.message_id),
    };
    insert_settled(change.tx(), delivery, settled, Timestamp::now()).await?;
    Ok(())
}
