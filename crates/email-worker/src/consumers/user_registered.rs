//! `user.registered.v1`: somebody signed up and is to be welcomed.

use common::Timestamp;
use common::dispatch::{NewDelivery, enqueue};
use common::messaging::{Message, Rejection, inbox};
use contracts::events::UserRegistered;

use super::{CONSUMER, Events};
use crate::delivery::{CHANNEL, DESTINATION, MailOrder};
use crate::emails::Template;

/// Orders the welcome mail, once for each event.
pub(super) async fn handle(events: &Events, message: &Message) -> Result<(), Rejection> {
    let user: UserRegistered = message.decode()?;
    let now = Timestamp::now();
    let order = MailOrder {
        template: Template::Welcome,
        user_id: user.user_id,
        name: user.name,
        locale: user.locale,
    };
    let delivery = NewDelivery {
        payload: serde_json::to_value(&order).map_err(Rejection::retry)?,
        ..NewDelivery::new(message.id, CHANNEL, user.email, DESTINATION.to_owned())
    };

    let tx = events.database.begin().await?;
    if !inbox::first_time(&tx, CONSUMER, message.id, now).await? {
        tx.rollback().await?;
        return Ok(());
    }
    enqueue(&tx, delivery, now).await?;
    tx.commit().await?;
    events.waker.wake();
    Ok(())
}
