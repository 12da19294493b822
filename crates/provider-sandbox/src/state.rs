//! What the handlers share. Neither the handlers nor the server are known here.

use tokio_util::sync::CancellationToken;

use crate::callbacks::Callbacks;
use crate::faults::Faults;
use crate::requests::Requests;

/// What all handlers share.
pub(crate) struct State {
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) callbacks: Callbacks,
    pub(crate) stopping: CancellationToken,
}
