//! Somebody signed up: the gateway knows them from now on, and welcomes them.

use common::Timestamp;
use common::dispatch::Waker;
use common::messaging::{Change, Message, Rejection};
use contracts::events::UserRegistered;

use super::recipient::recipient;
use crate::live::Live;
use crate::notifications::{notify, welcome};
use crate::tables::recipients;

/// Takes over the person, and writes their welcome. The live streams and the dispatcher hear of it after the commit.
pub(super) async fn take(message: &Message, change: &mut Change, followers: (Live, Waker)) -> Result<(), Rejection> {
    let now = Timestamp::now();
    let UserRegistered { person } = message.decode()?;
    // If an update came first, it is newer: the welcome goes to the person as they are now.
    let recipient = recipients::upsert(change.tx(), recipient(person, now)).await?;
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
