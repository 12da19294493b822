//! What the frame's own operations work with.

use crate::messaging::Changes;
use crate::resilience::Breakers;

/// What the operations of every service work with.
pub(super) struct State {
    /// The service's changes, which its audit is written in.
    pub(super) changes: Changes,
    /// The breakers of what the service asks of others.
    pub(super) breakers: Breakers,
}
