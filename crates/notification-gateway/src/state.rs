//! What the operations work with.

use common::database::Database;
use common::messaging::Changes;
use tokio_util::sync::CancellationToken;

use crate::live::Live;

/// Everything that lives as long as the service.
pub(crate) struct State {
    /// For reads; a change goes through `changes`.
    pub(crate) database: Database,
    pub(crate) changes: Changes,
    pub(crate) live: Live,
    /// Ends every stream.
    pub(crate) stopping: CancellationToken,
}
