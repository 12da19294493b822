//! Somebody signed up: the gateway knows them from now on, and welcomes them.

use common::Timestamp;
use common::messaging::{Message, Rejection, inbox};
use contracts::events::UserRegistered;

use super::{CONSUMER, GatewayEvents};
use crate::notifications::notify;
use crate::notifications::welcome::welcome;
use crate::storage::recipients;

pub(super) async fn handle(gateway: &GatewayEvents, message: &Message) -> Result<(), Rejection> {
    let event: UserRegistered = message.decode()?;
    let now = Timestamp::now();
    let tx = gateway.database.begin().await?;
    if !inbox::first_time(&tx, CONSUMER, message.id, now).await? {
        tx.rollback().await?;
        return Ok(());
    }
    let recipient = recipient(event, now);
    recipients::upsert(&tx, recipient.clone()).await?;
    let seq = notify(&tx, &recipient, message.id, welcome(&recipient), now).await?;
    tx.commit().await?;
    if let Some(seq) = seq {
        gateway.live.announce(recipient.user_id, seq);
        gateway.dispatcher.wake();
    }
    Ok(())
}

fn recipient(event: UserRegistered, now: Timestamp) -> recipients::Model {
    recipients::Model {
        user_id: event.user_id,
        version: event.version,
        email: event.email,
        name: event.name,
        locale: event.locale,
        phone: event.phone,
        time_zone: event.time_zone,
        status: event.status,
        last_seq: 0,
        created_at: now,
        updated_at: now,
    }
}
