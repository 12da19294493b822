//! What accounts add to a journey: the person that a key names, and the other keys that name the same person.

use common::database::Database;
use common::operations::{Key, Known};
use sea_orm::DbErr;

use crate::profile::Email;
use crate::tables::users;

/// The accounts that a key names: by their id, their address or their phone number.
pub(crate) async fn known(database: Database, key: Key) -> Result<Known, DbErr> {
    let written = key.as_str();
    let address = Email::known_key(written).unwrap_or_default();
    let found = users::find_by_any(database.read(), key.id(), (&address, written)).await?;
    Ok(found.into_iter().fold(Known::default(), |known, user| {
        let account = (user.id, "account");
        let known = known.thing(account, &user.status, user.created_at);
        known.person([user.id.to_string(), user.email].into_iter().chain(user.phone))
    }))
}
