//! What the operations work with.

use std::sync::Arc;

use common::database::Database;
use common::messaging::Changes;
use common::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::channels::Sms;
use crate::live::Live;

/// Everything that lives as long as the service.
pub(crate) struct State {
    /// For reads; a change goes through `changes`.
    pub(crate) database: Database,
    pub(crate) changes: Changes,
    pub(crate) live: Live,
    pub(crate) sms: Arc<Sms>,
    pub(crate) metrics: Metrics,
    /// Ends every stream.
    pub(crate) stopping: CancellationToken,
}
