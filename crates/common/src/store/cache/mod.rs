//! Cache-aside reads: in-process, then the store, then the database.
//!
//! Why: a read that many make costs the database once. An entry is the bytes that are answered, made
//! once, with the version of the row that they were made from; a lower version never replaces a
//! higher one, so a slow reader cannot put an old value back. One flight a key and process loads,
//! in a task of its own, so that a reader who goes away cancels nobody's load.
//!
//! What it must not do: fail a read that the database could answer (a store that is away is passed
//! by), or decide about rights: an answer may be seconds old, or stale while the database is away.
//! The in-process layer lives for a second: other replicas' writes are not announced to it.

mod entry;
mod flights;
mod layers;

use std::{borrow::Cow, error::Error, marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache as Local;
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};

use self::{
    entry::Entry,
    flights::{Flight, Flights},
    layers::Layers,
};
use super::Store;
use crate::{Timestamp, process::Tasks, telemetry::Metrics};

/// A key of the cache, bound to the one type that stands under it.
pub trait CacheKey: Send + Sync {
    /// What is cached, as it is answered.
    type Value: Serialize + Send + 'static;
    /// Form of the value; raised when its JSON changes, so that entries of the old form are misses.
    const FORMAT: u8;
    /// The key in the store, behind the store's prefix.
    fn store_key(&self) -> String;
}

/// Lives and bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// How long the in-process layer answers; short, because other replicas' writes do not reach it.
    pub in_process: Duration,
    /// Most bytes that the in-process layer holds.
    pub in_process_bytes: u64,
    /// How long an entry in the store is fresh; up to a tenth is taken off by chance, so that
    /// entries made together do not end together.
    pub fresh: Duration,
    /// How long an entry is kept for when the database is away.
    pub stale: Duration,
    /// How long "not there" is remembered.
    pub absent: Duration,
    /// Loads at a time: what the database is asked to bear when the store is away.
    pub loads: usize,
    /// Longest wait for a load, its place in the queue included.
    pub deadline: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            in_process: Duration::from_secs(1),
            in_process_bytes: 32 * 1024 * 1024,
            fresh: Duration::from_mins(5),
            stale: Duration::from_hours(24),
            absent: Duration::from_secs(5),
            loads: 16,
            deadline: Duration::from_secs(1),
        }
    }
}

/// A value as its row holds it now.
pub struct Loaded<V> {
    /// Version of the row.
    pub version: u64,
    /// What is cached.
    pub value: V,
}

/// What a load may fail with.
pub type LoadError = Box<dyn Error + Send + Sync>;

/// Why a read has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The load failed and nothing stale is left to answer with.
    #[error("the value could not be loaded")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
    /// The load, or the wait for its turn, took too long.
    #[error("the value was not loaded in time")]
    TimedOut,
}

/// A layer that can answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// This process.
    InProcess,
    /// The store.
    Store,
    /// The database.
    Database,
}

impl Layer {
    const fn label(self) -> &'static str {
        match self {
            Self::InProcess => "l1",
            Self::Store => "redis",
            Self::Database => "database",
        }
    }
}

/// A value's bytes as they are answered, with the version that they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Version of the row.
    pub version: u64,
    /// JSON of the value.
    pub bytes: Bytes,
}

/// The answer to a read, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The value; `None`: there is none.
    pub found: Option<Cached>,
    /// Who answered.
    pub layer: Layer,
    /// For how long the answer has not been fresh any more.
    pub stale_for: Option<Duration>,
}

impl Read {
    /// The value of the header `Cache-Status` (RFC 9211).
    pub fn cache_status(&self) -> Cow<'static, str> {
        let status = match self.layer {
            Layer::InProcess => "waypost-l1; hit",
            Layer::Store => "waypost-redis; hit",
            Layer::Database => "waypost-redis; fwd=miss",
        };
        match self.stale_for {
            Some(age) => format!("{status}; ttl=-{}; detail=failsafe", age.as_secs()).into(),
            None => status.into(),
        }
    }
}

/// A cache-aside cache of one kind of value.
///
/// Cheap to clone; all clones share the layers.
pub struct Cache<K> {
    layers: Arc<Layers>,
    tasks: Tasks,
    key: PhantomData<fn(K)>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            layers: Arc::clone(&self.layers),
            tasks: self.tasks.clone(),
            key: PhantomData,
        }
    }
}

impl<K: CacheKey> Cache<K> {
    /// Makes a cache over `store`.
    pub fn new(store: Store, options: CacheOptions, metrics: Metrics, tasks: Tasks) -> Self {
        let local = Local::builder()
            .max_capacity(options.in_process_bytes)
            .weigher(|key: &String, entry: &Entry| {
                let bytes = entry.value.as_ref().map_or(0, Bytes::len);
                u32::try_from(key.len() + bytes + 100).unwrap_or(u32::MAX)
            })
            .time_to_live(options.in_process)
            .build();
        let layers = Layers {
            store,
            local,
            flights: Flights::default(),
            loads: Semaphore::new(options.loads),
            options,
            format: K::FORMAT,
            metrics,
        };
        Self {
            layers: Arc::new(layers),
            tasks,
            key: PhantomData,
        }
    }

    /// Reads through the layers; `load` asks the database, at most once a key at a time.
    ///
    /// # Errors
    /// When the load fails or is late and no stale entry is left.
    ///
    /// # Cancel safety
    /// A reader that is dropped leaves the load going on for the others.
    pub async fn read<L, F>(&self, key: &K, now: Timestamp, load: L) -> Result<Read, ReadError>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        let key = key.store_key();
        if let Some(entry) = self.layers.local.get(&key).await {
            self.layers.count(Layer::InProcess, "hit");
            return Ok(entry.answer(Layer::InProcess, now));
        }
        self.layers.count(Layer::InProcess, "miss");
        let stored = self.layers.read_store(&key, now).await;
        if let Some(entry) = stored.as_ref().filter(|entry| entry.is_fresh(now)) {
            self.layers.keep_local(&key, entry.clone()).await;
            return Ok(entry.answer(Layer::Store, now));
        }
        let answer = match self.layers.flights.join(&key) {
            (answer, None) => answer,
            (answer, Some(flight)) => {
                let layers = Arc::clone(&self.layers);
                let refresh = layers.refresh::<K::Value, _, _>(key, stored, now, load);
                self.tasks.spawn("cache refresh", lead(flight, refresh));
                answer
            }
        };
        // The flight has the same limit; the margin is for its own end to come first.
        let limit = self.layers.options.deadline + Duration::from_millis(200);
        let answer = timeout(limit, answer.wait()).await;
        answer.unwrap_or(Err(ReadError::TimedOut))
    }

    /// Writes a value through, after the commit that made it. Failing to is no failure of the write.
    pub async fn put(&self, key: &K, version: u64, value: &K::Value, now: Timestamp) {
        let key = key.store_key();
        let entry = match self.layers.fresh_entry(version, value, now) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, "a value could not be written as JSON");
                return;
            }
        };
        // A load that began before the commit must not answer who comes after it.
        self.layers.keep_local(&key, entry.clone()).await;
        self.layers.flights.detach(&key);
        self.layers.write_store(&key, &entry, now).await;
    }
}

/// Leads a flight: whatever becomes of the load, the flight ends.
async fn lead(flight: Flight, refresh: impl Future<Output = Result<Read, ReadError>>) {
    flight.land(refresh.await);
}
