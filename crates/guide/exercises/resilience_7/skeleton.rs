//! resilience-7: each replica counts by itself, so three of them allow three times as much. Let them count together.
//!
//! Edit this file, then `make exercise E=resilience-7`. Look what `Store` offers for a limit.

use std::collections::HashMap;

use common::store::Store;
use parking_lot::Mutex;

use crate::exercises::resilience::shared_limit::{ALLOWED, Admits};

pub(crate) struct Limit {
    /// Requests of this minute, by caller. (That a minute ends is left out here.)
    asked: Mutex<HashMap<String, u32>>,
}

impl Admits for Limit {
    fn new(_: Store) -> Self {
        let asked = Mutex::default();
        Self { asked }
    }

    async fn admits(&self, caller: &str) -> bool {
        let mut asked = self.asked.lock();
        let asked = asked.entry(caller.to_owned()).or_default();
        *asked += 1;
        *asked <= ALLOWED
    }
}
