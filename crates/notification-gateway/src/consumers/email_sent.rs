//! email-worker sent a mail: it joins the notification that the same event made, whichever came first.

use common::Timestamp;
use common::dispatch::{NewDelivery, Reason, Settled, Status, insert_settled};
use common::messaging::{Message, Rejection, inbox};
use contracts::events::EmailSent;
use serde_json::json;

use super::{CONSUMER, GatewayEvents};
use crate::channels::EMAIL;

pub(super) async fn handle(gateway: &GatewayEvents, message: &Message) -> Result<(), Rejection> {
    let event: EmailSent = message.decode()?;
    let now = Timestamp::now();
    let tx = gateway.database.begin().await?;
    if !inbox::first_time(&tx, CONSUMER, message.id, now).await? {
        tx.rollback().await?;
        return Ok(());
    }
    let mut delivery = NewDelivery::new(
        event.source_event_id,
        EMAIL,
        event.user_id.to_string(),
        message.source.clone(),
    );
    delivery.provider = Some(message.source.clone());
    delivery.payload = json!({"email_id": event.email_id, "template": event.template});
    // A mail server took responsibility; whether it arrived, only a bounce would tell.
    let settled = Settled {
        status: Status::Accepted,
        reason: Reason::Accepted,
        provider_message_id: Some(event.message_id),
    };
    insert_settled(&tx, delivery, settled, now).await?;
    tx.commit().await?;
    Ok(())
}
