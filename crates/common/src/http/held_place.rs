//! The place of a request, which it leaves while it waits for its own caller or for somebody outside.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::Problem;
use super::shed::Gate;
use crate::resilience::{InFlight, Outcome};

/// A place at a gate. Cheap to clone; all clones are of the same place, which is free again when the last one is dropped.
///
/// A caller who sends the body slowly, or has to wait for their turn, loads nothing. A place that is kept meanwhile would
/// be kept from others, and the limit would take the wait for a queue.
#[derive(Clone)]
pub(super) struct HeldPlace(Rc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    place: RefCell<Option<InFlight>>,
}

impl HeldPlace {
    /// Takes a place; otherwise says when to come again.
    pub(super) fn take(gate: Arc<Gate>, now: Instant) -> Result<Self, Problem> {
        let place = RefCell::new(Some(gate.admit(now)?));
        Ok(Self(Rc::new(Inner { gate, place })))
    }

    /// Gives the place to others.
    pub(super) fn leave(&self) {
        drop(self.0.place.take());
    }

    /// Takes one again; what the request took so far does not count.
    pub(super) fn take_again(&self, now: Instant) -> Result<(), Problem> {
        let place = self.0.gate.admit(now)?;
        self.0.place.replace(Some(place));
        Ok(())
    }

    /// Takes one again, however many came meanwhile; what the request took so far does not count.
    pub(super) fn come_back(&self, now: Instant) {
        self.0.place.replace(Some(self.0.gate.admit_again(now)));
    }

    /// Gives the place back, and has the limit learn from how long the request took; nothing when it was left for good.
    pub(super) fn finish(&self, outcome: Outcome, now: Instant) {
        if let Some(place) = self.0.place.take() {
            place.finish(outcome, now);
        }
    }
}
