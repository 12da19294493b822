//! The layers below a [`super::Cache`]: how each is read and filled.

use std::future::Future;
use std::sync::Arc;

use moka::future::Cache as Local;
use moka::ops::compute::Op;
use rand::Rng;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::entry::Entry;
use super::flights::Flights;
use super::{CacheOptions, Layer, LoadError, Loaded, Read, ReadError};
use crate::Timestamp;
use crate::store::Store;
use crate::telemetry::Metrics;

pub(super) struct Layers {
    pub(super) store: Store,
    pub(super) local: Local<String, Entry>,
    pub(super) flights: Flights,
    pub(super) loads: Semaphore,
    pub(super) options: CacheOptions,
    pub(super) format: u8,
    pub(super) metrics: Metrics,
}

impl Layers {
    pub(super) async fn read_store(&self, key: &str, now: Timestamp) -> Option<Entry> {
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
    pub(super) async fn refresh<V, L, F>(
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

    pub(super) async fn write_store(&self, key: &str, entry: &Entry, now: Timestamp) {
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

    pub(super) async fn keep_local(&self, key: &str, entry: Entry) {
        self.local
            .entry_by_ref(key)
            .and_compute_with(|held| {
                let newer = held.is_some_and(|held| held.value().version > entry.version);
                std::future::ready(if newer { Op::Nop } else { Op::Put(entry) })
            })
            .await;
    }

    pub(super) fn fresh_entry<V: Serialize>(
        &self,
        version: u64,
        value: &V,
        now: Timestamp,
    ) -> Result<Entry, serde_json::Error> {
        let jitter = rand::rng().random_range(0.9..=1.0);
        Ok(Entry {
            version,
            fresh_until: now + self.options.fresh.mul_f64(jitter),
            kept_until: now + self.options.stale.max(self.options.fresh),
            value: Some(serde_json::to_vec(value)?.into()),
        })
    }

    pub(super) fn count(&self, layer: Layer, outcome: &'static str) {
        self.metrics.cache_read(layer.label(), outcome);
    }
}
