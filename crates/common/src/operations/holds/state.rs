//! What the operations on holds work with.

use strum::EnumIter;

use crate::dispatch::Holds;
use crate::http::{Problem, Refusal, kinds};
use crate::messaging::Changes;

/// What the operations on holds work with.
pub(crate) struct State {
    /// The service's changes, which its audit is written in.
    pub(crate) changes: Changes,
    /// What this process knows of the holds.
    pub(crate) holds: Holds,
}

/// Why a hold is not set or ended.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(super) enum HoldRefusal {
    /// The service sends nothing there.
    NoSuchDestination,
    /// It is not held.
    NotHeld,
}

impl Refusal for HoldRefusal {
    fn problem(&self) -> Problem {
        let said = match self {
            Self::NoSuchDestination => {
                "This service sends nothing there; GET /operations/holds lists the destinations it has."
            }
            Self::NotHeld => "This destination is not held.",
        };
        Problem::new(&kinds::NOT_FOUND).detail(said)
    }
}
