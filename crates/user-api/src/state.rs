//! What the operations work with.

use common::{database::Database, messaging::Changes, store::Cache};

use crate::{breached::BreachedPasswords, passwords::Passwords, signing_keys::SigningKeys, user::UserKey};

/// Everything that lives as long as the service.
pub(crate) struct State {
    /// For reads; a change goes through `changes`.
    pub(crate) database: Database,
    pub(crate) changes: Changes,
    pub(crate) users: Cache<UserKey>,
    pub(crate) passwords: Passwords,
    pub(crate) breached: BreachedPasswords,
    pub(crate) keys: SigningKeys,
}
