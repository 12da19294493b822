//! The breakers of one service by the name of what each guards, for whoever operates them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLock;

use super::circuit::Breaker;
use super::view::BreakerView;

/// The breakers of one service by destination. Cheap to clone; all clones hold the same ones.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<RwLock<BTreeMap<Arc<str>, Arc<Breaker>>>>);

impl Breakers {
    /// Adds the breaker of a destination, in place of one that it had.
    pub fn add(&self, destination: &Arc<str>, breaker: &Arc<Breaker>) {
        self.0.write().insert(Arc::clone(destination), Arc::clone(breaker));
    }

    /// The breaker of a destination, when it has one.
    pub fn of(&self, destination: &str) -> Option<Arc<Breaker>> {
        self.0.read().get(destination).cloned()
    }

    /// All of them as they are now, by name.
    pub fn views(&self, now: Instant) -> Vec<(Arc<str>, BreakerView)> {
        let breakers = self.0.read();
        breakers
            .iter()
            .map(|(name, breaker)| (Arc::clone(name), breaker.view(now)))
            .collect()
    }
}
