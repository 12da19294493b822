//! Cache-aside reads: in-process, then the store, then the database.
//!
//! Why: a read that many make costs the database once. An entry is the bytes that are answered, made
//! once, with the version of the row that they were made from; a lower version never replaces a
//! higher one, so a slow reader cannot put an old value back. One flight a key and process loads,
//! in a task of its own, so that a reader who goes away cancels nobody's load.
//!
//! What it must not do: fail a read that the database could answer (a store that is away is passed
//! by), or decide about rights: an answer may be seconds old, or stale while the database is away.
//! The in-process layer lives for two seconds: other replicas' writes are not announced to it.

mod entry;
mod flights;

use std::{error::Error, marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use moka::{future::Cache as Local, ops::compute::Op};
use rand::Rng;
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};

use self::{
    entry::Entry,
    flights::{Flight, Flights},
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
            in_process: Duration::from_secs(2),
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
    pub fn cache_status(&self) -> String {
        let status = match self.layer {
            Layer::InProcess => "waypost-l1; hit",
            Layer::Store => "waypost-redis; hit",
            Layer::Database => "waypost-redis; fwd=miss",
        };
        match self.stale_for {
            Some(age) => format!("{status}; ttl=-{}; detail=failsafe", age.as_secs()),
            None => status.to_owned(),
        }
    }
}

/// A cache-aside cache of one kind of value.
///
/// Cheap to clone; all clones share the layers.
pub struct Cache<K> {
    shared: Arc<Shared>,
    tasks: Tasks,
    key: PhantomData<fn(K)>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
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
        let shared = Shared {
            store,
            local,
            flights: Flights::default(),
            loads: Semaphore::new(options.loads),
            options,
            format: K::FORMAT,
            metrics,
        };
        Self {
            shared: Arc::new(shared),
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
        if let Some(entry) = self.shared.local.get(&key).await {
            self.shared.count(Layer::InProcess, "hit");
            return Ok(entry.answer(Layer::InProcess, now));
        }
        self.shared.count(Layer::InProcess, "miss");
        let stored = self.shared.read_store(&key, now).await;
        if let Some(entry) = stored.as_ref().filter(|entry| entry.is_fresh(now)) {
            self.shared.keep_local(&key, entry.clone()).await;
            return Ok(entry.answer(Layer::Store, now));
        }
        let answer = match self.shared.flights.join(&key) {
            (answer, None) => answer,
            (answer, Some(flight)) => {
                let shared = Arc::clone(&self.shared);
                let refresh = shared.refresh::<K::Value, _, _>(key, stored, now, load);
                self.tasks.spawn("cache refresh", lead(flight, refresh));
                answer
            }
        };
        // The flight has the same limit; the margin is for its own end to come first.
        let limit = self.shared.options.deadline + Duration::from_millis(200);
        let answer = timeout(limit, answer.wait()).await;
        answer.unwrap_or(Err(ReadError::TimedOut))
    }

    /// Writes a value through, after the commit that made it. Failing to is no failure of the write.
    pub async fn put(&self, key: &K, version: u64, value: &K::Value, now: Timestamp) {
        let key = key.store_key();
        let entry = match self.shared.fresh_entry(version, value, now) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, "a value could not be written as JSON");
                return;
            }
        };
        // A load that began before the commit must not answer who comes after it.
        self.shared.keep_local(&key, entry.clone()).await;
        self.shared.flights.detach(&key);
        self.shared.write_store(&key, &entry, now).await;
    }
}

/// Leads a flight: whatever becomes of the load, the flight ends.
async fn lead(flight: Flight, refresh: impl Future<Output = Result<Read, ReadError>>) {
    flight.land(refresh.await);
}

struct Shared {
    store: Store,
    local: Local<String, Entry>,
    flights: Flights,
    loads: Semaphore,
    options: CacheOptions,
    format: u8,
    metrics: Metrics,
}

impl Shared {
    async fn read_store(&self, key: &str, now: Timestamp) -> Option<Entry> {
        let versioned = match self.store.get_versioned(key).await {
            Ok(versioned) => versioned,
            Err(error) => {
                tracing::debug!(%error, "a cached value could not be read");
                self.count(Layer::Store, "error");
                return None;
            }
        };
        let entry = versioned.and_then(|versioned| Entry::decode(versioned, self.format, now));
        let outcome = match &entry {
            None => "miss",
            Some(entry) if entry.is_fresh(now) => "hit",
            Some(_) => "stale",
        };
        self.count(Layer::Store, outcome);
        entry
    }

    /// Loads from the database and fills the layers; falls back to the stale entry.
    async fn refresh<V, L, F>(
        self: Arc<Self>,
        key: String,
        stale: Option<Entry>,
        now: Timestamp,
        load: L,
    ) -> Result<Read, ReadError>
    where
        V: Serialize,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
    {
        // A flight that ended between this one's look at the layers and its start has filled them.
        if let Some(entry) = self.local.get(&key).await {
            return Ok(entry.answer(Layer::InProcess, now));
        }
        match self.load(load).await {
            Ok(loaded) => {
                self.count(Layer::Database, loaded.as_ref().map_or("absent", |_| "hit"));
                let entry = match loaded {
                    None => Entry::absent(now + self.options.absent),
                    Some(Loaded { version, value }) => self
                        .fresh_entry(version, &value, now)
                        .map_err(|error| ReadError::Failed(Arc::new(error)))?,
                };
                self.keep_local(&key, entry.clone()).await;
                self.write_store(&key, &entry, now).await;
                Ok(entry.answer(Layer::Database, now))
            }
            Err(error) => {
                self.count(Layer::Database, "error");
                let stale = stale.ok_or(error)?;
                self.keep_local(&key, stale.clone()).await;
                Ok(stale.answer(Layer::Store, now))
            }
        }
    }

    async fn load<V, L, F>(&self, load: L) -> Result<Option<Loaded<V>>, ReadError>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
    {
        let bounded = async {
            // The semaphore is never closed, so no permit means no limit to keep.
            let _permit = self.loads.acquire().await.ok();
            load().await
        };
        match timeout(self.options.deadline, bounded).await {
            Ok(outcome) => outcome.map_err(|error| ReadError::Failed(error.into())),
            Err(_) => Err(ReadError::TimedOut),
        }
    }

    async fn write_store(&self, key: &str, entry: &Entry, now: Timestamp) {
        let ttl = entry.kept_until.since(now);
        let written = match entry.encode(self.format) {
            Some(bytes) => {
                let put = self.store.put_if_newer(key, entry.version, &bytes, ttl);
                put.await
            }
            None => self.store.tombstone(key, entry.version, ttl).await,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "a value could not be cached");
        }
    }

    async fn keep_local(&self, key: &str, entry: Entry) {
        self.local
            .entry_by_ref(key)
            .and_compute_with(|held| {
                let newer = held.is_some_and(|held| held.value().version > entry.version);
                std::future::ready(if newer { Op::Nop } else { Op::Put(entry) })
            })
            .await;
    }

    fn fresh_entry<V: Serialize>(&self, version: u64, value: &V, now: Timestamp) -> Result<Entry, serde_json::Error> {
        let jitter = rand::rng().random_range(0.9..=1.0);
        Ok(Entry {
            version,
            fresh_until: now + self.options.fresh.mul_f64(jitter),
            kept_until: now + self.options.stale.max(self.options.fresh),
            value: Some(serde_json::to_vec(value)?.into()),
        })
    }

    fn count(&self, layer: Layer, outcome: &'static str) {
        self.metrics.cache_read(layer.label(), outcome);
    }
}
