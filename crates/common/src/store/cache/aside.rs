//! The cache itself: a read goes through the layers, a write goes into them.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache as Local;
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    CacheOptions, Layer, LoadError, Loaded, Read, ReadError,
    entry::Entry,
    flights::{Flight, Flights},
    layers::Layers,
};
use crate::{Timestamp, process::Tasks, store::Store, telemetry::Metrics};

/// A key of the cache, bound to the one type that stands under it.
pub trait CacheKey: Send + Sync {
    /// What is cached, as it is answered.
    type Value: Serialize + Send + 'static;
    /// Form of the value; raised when its JSON changes, so that entries of the old form are misses.
    const FORMAT: u8;
    /// The key in the store, behind the store's prefix.
    fn store_key(&self) -> String;
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
