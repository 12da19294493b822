//! A flight's work: what one refresh of a key does, in a task of its own.
//!
//! At the expiry of a hot key each replica has one flight, and of those one takes the key's lock, looks into the store
//! again, and loads; the others wait for what it writes there. A holder that dies costs them its lease.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::flights::Flight;
use super::layers::{Found, Layers};
use super::{Layer, LoadError, Loaded, Read, ReadError, Reason};
use crate::Timestamp;
use crate::store::Guard;

/// The lock that lets one replica load a key.
pub(super) const LOCK: &str = "load";
/// How often a replica looks whether another one has loaded.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One refresh of a key.
pub(super) struct Refresh {
    pub(super) layers: Arc<Layers>,
    pub(super) key: String,
    pub(super) now: Timestamp,
    /// Why: it was stale, ageing, or not there at all.
    pub(super) reason: &'static str,
    /// What a loaded value's reader is told.
    pub(super) told: Reason,
}

/// Tells how long somebody waited for the holder of a key's lock, whatever ended that.
struct Waits<'a> {
    layers: &'a Layers,
    began: Instant,
}

impl<'a> Waits<'a> {
    fn begin(layers: &'a Layers) -> Self {
        let began = Instant::now();
        Self { layers, began }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.layers.metrics.lock_wait(LOCK, self.began.elapsed());
    }
}

/// Who loads.
enum Turn {
    /// This one, and nobody else while it holds the lock. `None`: it loads without a lock.
    Own(Option<Box<Guard>>),
    /// Another replica has.
    Others(Read),
}

impl Refresh {
    /// Loads the value, or takes what another replica has loaded, and fills the layers with it. Who waits for `flight`
    /// is answered before the store is written to.
    pub(super) async fn run<V, L, F>(self, flight: &Flight, load: L) -> Result<Read, ReadError>
    where
        V: Serialize,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
    {
        let end = Instant::now() + self.layers.options.deadline;
        let outcome = match timeout_at(end, self.turn()).await {
            Ok(Turn::Others(read)) => {
                self.layers.metrics.cache_refresh(self.reason, "shared");
                return Ok(read);
            }
            Ok(Turn::Own(guard)) => {
                let loaded = self.load_and_fill(flight, load, end).await;
                if let Some(guard) = guard {
                    guard.release().await;
                }
                loaded
            }
            Err(_) => Err(ReadError::TimedOut),
        };
        let label = if outcome.is_ok() { "loaded" } else { "failed" };
        self.layers.metrics.cache_refresh(self.reason, label);
        outcome
    }

    /// Waits until it is this one's turn to load, or nobody's any more.
    async fn turn(&self) -> Turn {
        let layers = &self.layers;
        // A flight that ended between this one's look at the layers and its start has filled them.
        if let Some(held) = layers.local.get(&self.key)
            && layers.vouches_for(&held)
            && self.now < held.until
            && !layers.is_ageing(&held.entry, self.now)
        {
            return Turn::Others(held.entry.answer(Layer::InProcess, Reason::Hit, self.now));
        }
        let is_alone = !layers.store.is_shared() || layers.options.lease.is_zero();
        if is_alone || self.leaves_the_store_alone() || !layers.coherence.may_read_store(&self.key) {
            return Turn::Own(None);
        }
        let mut waits = None;
        loop {
            let Ok(taken) = layers.locks.try_acquire(LOCK, &self.key, layers.options.lease).await else {
                return Turn::Own(None);
            };
            if let Some(read) = self.loaded_by_others().await {
                if let Some(guard) = taken {
                    guard.release().await;
                }
                return Turn::Others(read);
            }
            if let Some(guard) = taken {
                return Turn::Own(Some(Box::new(guard)));
            }
            let waits = waits.get_or_insert_with(|| Waits::begin(layers));
            // Whoever holds it and lives, and yet has not loaded by now, is in trouble that need not be everybody's.
            if waits.began.elapsed() > layers.options.lease + LOOK_EVERY * 5 {
                return Turn::Own(None);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A store that did not answer the look is not asked for anything else: a reader would wait twice.
    fn leaves_the_store_alone(&self) -> bool {
        self.told == Reason::Bypass
    }

    async fn loaded_by_others(&self) -> Option<Read> {
        let found = self.layers.look_into_store(&self.key, self.now).await;
        match found {
            Some(Found::Fresh(entry, layer)) if !self.layers.is_ageing(&entry, self.now) => {
                Some(entry.answer(layer, Reason::Hit, self.now))
            }
            _ => None,
        }
    }

    async fn load_and_fill<V, L, F>(&self, flight: &Flight, load: L, end: Instant) -> Result<Read, ReadError>
    where
        V: Serialize,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
    {
        let layers = &self.layers;
        // Before the load begins: what changes meanwhile must not be covered by what it brings.
        let generation = layers.coherence.generation();
        let loaded = self
            .load(load, end)
            .await
            .inspect_err(|_| layers.count(Layer::Database, "error"))?;
        layers.count(Layer::Database, loaded.as_ref().map_or("absent", |_| "hit"));
        // Its life begins when it was read.
        let now = Timestamp::now().max(self.now);
        let entry = match loaded {
            None => super::entry::Entry::absent(0, layers.coherence.epoch(), now + layers.options.absent),
            Some(Loaded { version, value }) => layers
                .fresh_entry(version, &value, now)
                .map_err(|error| ReadError::Failed(Arc::new(error)))?,
        };
        let read = entry.answer(Layer::Database, self.told, now);
        let is_newest = layers.local.allows(&self.key, entry.version);
        if is_newest {
            layers.keep_local(&self.key, entry.clone(), generation, now);
        }
        flight.answer(read.clone());
        if is_newest && !self.leaves_the_store_alone() && generation == layers.coherence.generation() {
            layers.fill_store(&self.key, &entry, now).await;
        }
        Ok(read)
    }

    async fn load<V, L, F>(&self, load: L, end: Instant) -> Result<Option<Loaded<V>>, ReadError>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
    {
        let bounded = async {
            // The semaphore is never closed, so no permit means no limit to keep.
            let _permit = self.layers.loads.acquire().await.ok();
            load().await
        };
        match timeout_at(end, bounded).await {
            Ok(outcome) => outcome.map_err(|error| ReadError::Failed(error.into())),
            Err(_) => Err(ReadError::TimedOut),
        }
    }
}
