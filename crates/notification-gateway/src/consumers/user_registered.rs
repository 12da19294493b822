//! Somebody signed up: the gateway knows them from now on, and welcomes them.

use common::Timestamp;
use common::dispatch::Waker;
use common::messaging::{Change, Message, Rejection};
use contracts::events::UserRegistered;

use crate::live::Live;
use crate::notifications::{notify, welcome};
use crate::tables::recipients;

/// Takes over the person, and writes their welcome; who follows hears of it once it is committed.
pub(super) async fn take(message: &Message, change: &mut Change, followers: (Live, Waker)) -> Result<(), Rejection> {
    let now = Timestamp::now();
    let recipient = recipient(message.decode()?, now);
    recipients::upsert(change.tx(), recipient.clone()).await?;
    let welcome = welcome(&recipient);
    if let Some(seq) = notify(change.tx(), &recipient, message.id, welcome, now).await? {
        let (live, dispatcher) = followers;
        change.then(async move {
            live.announce(recipient.user_id, seq);
            dispatcher.wake();
        });
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
