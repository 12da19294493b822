//! How far one send has come, which is known even when it is broken off: whether the other side may have the delivery, and
//! what was exchanged.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::attempt::Exchange;

/// How many exchanges of one send are kept at most: enough, since a send asks few providers.
const MOST_EXCHANGES: usize = 20;

/// How far one send has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// When it turned to the other side.
    asked: OnceLock<Instant>,
    begun: Arc<OnceLock<()>>,
    exchanged: Mutex<Exchanged>,
}

/// What was exchanged with providers.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchanged {
    pub(super) exchanges: Vec<Exchange>,
    /// Provider that has the delivery, or may have it and is to be asked again.
    pub(super) holder: Option<String>,
}

impl Progress {
    /// Says that from here on the send waits for the other side: for its turn there, then for the answer. Where that takes
    /// long, the send takes no place among the others.
    pub fn ask(&self) {
        self.asked.get_or_init(Instant::now);
    }

    /// Says that from here on the other side may have the delivery. It can't be taken back.
    pub fn begin(&self) {
        self.ask();
        self.begun.get_or_init(|| ());
    }

    /// Says what [`Self::begin`] says whenever it is called, for a client that knows when a request leaves. What is called
    /// so must be [asked](Self::ask) before.
    pub fn beginning(&self) -> impl Fn() + Send + Sync + 'static {
        let begun = Arc::clone(&self.begun);
        move || {
            begun.get_or_init(|| ());
        }
    }

    /// Whether the other side may have the delivery.
    pub fn has_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    /// Keeps an exchange that reached a provider, for those who ask later what became of the delivery; 20 at most.
    pub fn note(&self, exchange: Exchange) {
        let mut exchanged = self.exchanged.lock();
        if exchanged.exchanges.len() < MOST_EXCHANGES {
            exchanged.exchanges.push(exchange);
        }
    }

    /// Says which provider has the delivery, or may have it and is the only one to be asked again.
    pub fn held_by(&self, provider: &str) {
        self.exchanged.lock().holder = Some(provider.to_owned());
    }

    /// Takes back [`Self::held_by`]: no provider has the delivery.
    pub fn held_by_nobody(&self) {
        self.exchanged.lock().holder = None;
    }

    /// Whether it has waited for the other side for longer than `age`.
    pub(super) fn waits_for_longer_than(&self, age: Duration) -> bool {
        self.asked.get().is_some_and(|at| at.elapsed() > age)
    }

    pub(super) fn exchanged(&self) -> Exchanged {
        self.exchanged.lock().clone()
    }
}
