//! Whether a place is free for one more call.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds how many calls are under way at a time, so that a slow dependency ties up no more than its share.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    places: Arc<Semaphore>,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Bulkhead {
    /// Makes a bulkhead with that many places.
    pub fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1))),
        }
    }

    /// Takes a place when one is free; never waits.
    pub fn enter(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(Place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bulkhead_refuses_until_a_place_is_left() {
        let bulkhead = Bulkhead::new(2);
        let first = bulkhead.enter().unwrap();
        let _second = bulkhead.enter().unwrap();
        assert!(bulkhead.enter().is_none());
        drop(first);
        assert!(bulkhead.enter().is_some());
    }
}
