//! resilience-8, a solution: nobody waits for a place for longer than the work still fits behind the wait.

use std::time::Duration;

use common::resilience::Bulkhead;

use crate::exercises::resilience::overload::{Admits, PATIENCE, PLACES, TAKES, Work};

/// What a wait may take: the work must fit behind it, and something is left for a machine that is busy.
const WAIT: Duration = PATIENCE.saturating_sub(TAKES).saturating_sub(TAKES);

pub(crate) struct Door {
    places: Bulkhead,
}

impl Admits for Door {
    fn new() -> Self {
        let places = Bulkhead::new(PLACES);
        Self { places }
    }

    async fn serve(&self, work: Work) -> bool {
        let Some(_place) = self.places.enter_within(WAIT).await else {
            return false;
        };
        work.run().await;
        true
    }
}
