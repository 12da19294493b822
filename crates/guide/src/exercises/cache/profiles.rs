//! The trait that a learner's code implements, profiles behind a cache, and the store that a check gives it.

use std::time::Duration;

use common::config::Service;
use common::process::Tasks;
use common::store::{Store, Timeouts};

use crate::exercises::table::Table;

/// How long a check waits for what should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Profiles that are read through a cache in `store`; `table` is the database behind it.
pub(crate) trait Profiles: Send + Sync + 'static {
    /// Makes one replica.
    fn new(store: Store, table: Table) -> Self;
    /// The name of a person; `None`: there is nobody of this id.
    fn read(&self, id: u32) -> impl Future<Output = Option<String>> + Send;
    /// Changes a person's name, or signs them up.
    fn rename(&self, id: u32, name: &str) -> impl Future<Output = ()> + Send;
}

/// A store in memory that nobody else has.
///
/// # Errors
/// A sentence, when it can't be opened.
pub(crate) fn store() -> Result<Store, String> {
    let tasks = Tasks::new(Service::UserApi);
    Store::open("memory://", "exercise", Timeouts::default(), &tasks).map_err(|error| error.to_string())
}
