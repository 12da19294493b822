//! A consumer that runs, as its service looks at it.

use std::fmt;
use std::sync::Arc;

use super::gate::Gate;
use crate::process::State;

/// A consumer that runs. Dropping it changes nothing.
#[derive(Clone)]
pub struct Consuming(Arc<Gate>);

impl Consuming {
    pub(in crate::messaging) fn of(gate: &Arc<Gate>) -> Self {
        Self(gate.clone())
    }

    /// [`State::Degraded`] while no message is taken because the consumer's own database is in trouble; else [`State::Up`].
    pub fn state(&self) -> State {
        self.0.health()
    }
}

impl fmt::Debug for Consuming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consuming").field(&self.state()).finish()
    }
}
