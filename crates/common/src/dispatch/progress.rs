//! What one send has come to, also when it is broken off: whether the other side may have it, and what was exchanged.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::attempt::Exchange;

/// More exchanges of one send are not kept: a sender asks each provider once.
const MOST_EXCHANGES: usize = 20;

/// What one send has come to.
#[derive(Debug, Default)]
pub struct Progress {
    begun: OnceLock<Instant>,
    exchanged: Mutex<Exchanged>,
}

/// What was exchanged with those who may deliver.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchanged {
    pub(super) exchanges: Vec<Exchange>,
    /// Who has it, or may have it and is to be asked again.
    pub(super) holder: Option<String>,
}

impl Progress {
    /// Says that from here on the other side may have it. There is no way back.
    pub fn begin(&self) {
        self.begun.get_or_init(Instant::now);
    }

    /// Whether the other side may have it.
    pub fn has_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    /// Keeps an exchange that reached a provider, for those who ask later what became of the delivery.
    pub fn note(&self, exchange: Exchange) {
        let mut exchanged = self.exchanged.lock();
        if exchanged.exchanges.len() < MOST_EXCHANGES {
            exchanged.exchanges.push(exchange);
        }
    }

    /// Says who has the delivery, or may have it and alone is to be asked again.
    pub fn held_by(&self, provider: &str) {
        self.exchanged.lock().holder = Some(provider.to_owned());
    }

    /// Says that nobody has it, who was said to before.
    pub fn held_by_nobody(&self) {
        self.exchanged.lock().holder = None;
    }

    /// Whether it began so long ago.
    pub(super) fn began_longer_ago_than(&self, age: Duration) -> bool {
        self.begun.get().is_some_and(|at| at.elapsed() > age)
    }

    pub(super) fn exchanged(&self) -> Exchanged {
        self.exchanged.lock().clone()
    }
}
