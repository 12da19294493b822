//! Somebody changed their account: the gateway's copy follows, whichever of a person's events comes first.

use common::Timestamp;
use common::messaging::{Change, Message, Rejection};
use contracts::events::UserUpdated;

use super::recipient::recipient;
use crate::tables::recipients;

/// Takes over what the account says now, unless something newer is known.
///
/// A person who is not known yet is known from here on. Their welcome comes with their registration.
pub(super) async fn take(message: &Message, change: &mut Change) -> Result<(), Rejection> {
    let UserUpdated { person } = message.decode()?;
    recipients::upsert(change.tx(), recipient(person, Timestamp::now())).await?;
    Ok(())
}
