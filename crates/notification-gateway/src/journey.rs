//! What the gateway adds to a journey: the other keys that name the same person.

use common::database::Database;
use common::operations::{Key, Known};
use sea_orm::DbErr;

use crate::tables::recipients;

/// The person whose id the key is; nobody for a key that is no id.
pub(crate) async fn known(database: Database, key: Key) -> Result<Known, DbErr> {
    let Some(id) = key.id() else {
        return Ok(Known::default());
    };
    let found = recipients::find(database.read(), id).await?;
    let known = found.map(|person| {
        let id = person.user_id.to_string();
        Known::default().person([id, person.email].into_iter().chain(person.phone))
    });
    Ok(known.unwrap_or_default())
}
