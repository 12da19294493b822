//! `user.registered.v1`: somebody signed up and is to be welcomed.

use common::Timestamp;
use common::dispatch::{NewDelivery, Waker, enqueue_last};
use common::messaging::{Change, Message, Rejection};
use contracts::events::UserRegistered;

use crate::delivery::{CHANNEL, MailOrder, destination};
use crate::emails::Template;

/// Orders the welcome mail, once for each event. The dispatcher is woken after the commit.
pub(super) fn take(message: &Message, change: &mut Change, dispatcher: Waker) -> Result<(), Rejection> {
    let UserRegistered { person: user } = message.decode()?;
    let order = MailOrder {
        template: Template::Welcome,
        user_id: user.user_id,
        name: user.name,
        locale: user.locale,
    };
    let destination = destination(&user.email);
    let delivery = NewDelivery {
        payload: serde_json::to_value(&order).map_err(Rejection::retry)?,
        ..NewDelivery::new(message.id, CHANNEL, user.email, destination)
    };
    enqueue_last(change, &delivery, Timestamp::now());
    change.then(async move { dispatcher.wake() });
    Ok(())
}
