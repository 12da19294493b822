//! The layers below a [`super::Cache`]: how each is looked at and filled.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use rand::Rng;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::coherence::Coherence;
use super::entry::Entry;
use super::flights::Flights;
use super::local::{Held, Local};
use super::{CacheOptions, Layer, Reason};
use crate::Timestamp;
use crate::store::{Locks, Store};
use crate::telemetry::Metrics;

pub(super) struct Layers {
    pub(super) store: Store,
    pub(super) local: Arc<Local>,
    pub(super) coherence: Arc<Coherence>,
    pub(super) flights: Flights,
    pub(super) locks: Locks,
    pub(super) loads: Semaphore,
    pub(super) options: CacheOptions,
    pub(super) format: u8,
    /// Whether an old value may be answered at all.
    pub(super) may_be_stale: bool,
    pub(super) metrics: Metrics,
    pub(super) hits_in_process: Counter,
}

/// What the layers hold of a key.
pub(super) enum Found {
    /// A value to answer with.
    Fresh(Entry, Layer),
    /// One that was fresh until lately, and would have been dropped had it changed.
    Stale(Entry, Layer),
    /// Nothing, or only something that nobody vouches for: a last resort.
    Nothing {
        last_known: Option<(Entry, Layer)>,
        reason: Reason,
    },
}

impl Layers {
    /// What the process may answer with; otherwise what it holds all the same.
    pub(super) fn look_into_process(&self, key: &str, now: Timestamp) -> Result<Entry, Option<Held>> {
        let held = self.local.get(key).filter(|held| held.entry.is_kept(now));
        match held {
            Some(held) if now < held.until && self.vouches_for(&held) => {
                self.hits_in_process.inc();
                Ok(held.entry)
            }
            held => {
                self.count(Layer::InProcess, "miss");
                Err(held)
            }
        }
    }

    /// Looks into the store; what the process holds is for want of anything better.
    pub(super) async fn look_further(&self, key: &str, now: Timestamp, held: Option<Held>) -> Found {
        let vouched = held.as_ref().filter(|held| self.vouches_for(held)).cloned();
        let stored = self.look_into_store(key, now).await;
        match stored {
            Some(Found::Nothing { last_known, reason }) => {
                // The process's copy may have outlived the store's.
                let stale = vouched.map(|held| Found::Stale(held.entry, Layer::InProcess));
                let held = held.map(|held| (held.entry, Layer::InProcess));
                let last_known = last_known
                    .into_iter()
                    .chain(held)
                    .max_by_key(|(entry, _)| entry.version);
                stale.unwrap_or(Found::Nothing { last_known, reason })
            }
            Some(found) => found,
            None => Found::Nothing {
                last_known: held.map(|held| (held.entry, Layer::InProcess)),
                reason: Reason::Bypass,
            },
        }
    }

    /// What the store holds; `None`: it can't be read, or not be trusted.
    pub(super) async fn look_into_store(&self, key: &str, now: Timestamp) -> Option<Found> {
        if !self.coherence.may_read_store(key) {
            self.count(Layer::Store, "bypass");
            return None;
        }
        let generation = self.coherence.generation();
        let versioned = match self.store.get_versioned(key).await {
            Ok(versioned) => versioned,
            Err(error) => {
                tracing::debug!(%error, "a cached value could not be read");
                self.count(Layer::Store, "error");
                return None;
            }
        };
        let epoch = self.coherence.epoch();
        let entry = versioned.and_then(|versioned| Entry::decode(versioned, self.format, epoch, now));
        let found = match entry {
            None => Found::Nothing {
                last_known: None,
                reason: Reason::Miss,
            },
            Some(entry) if !self.local.allows(key, entry.version) => Found::Nothing {
                last_known: None,
                reason: Reason::Stale,
            },
            Some(entry) if entry.epoch != epoch => Found::Nothing {
                last_known: Some((entry, Layer::Store)),
                reason: Reason::Stale,
            },
            Some(entry) if entry.is_fresh(now) => {
                self.keep_local(key, entry.clone(), generation, now);
                Found::Fresh(entry, Layer::Store)
            }
            Some(entry) => Found::Stale(entry, Layer::Store),
        };
        self.count(
            Layer::Store,
            match &found {
                Found::Fresh(..) => "hit",
                Found::Stale(..)
                | Found::Nothing {
                    last_known: Some(_), ..
                } => "stale",
                Found::Nothing { last_known: None, .. } => "miss",
            },
        );
        Some(found)
    }

    /// Whether what is held is certain to be what all replicas know.
    pub(super) fn vouches_for(&self, held: &Held) -> bool {
        held.generation == self.coherence.generation() && self.coherence.hears()
    }

    /// Whether a read should have this refreshed before its fresh life is over.
    pub(super) fn is_ageing(&self, entry: &Entry, now: Timestamp) -> bool {
        let left = self.options.fresh.mul_f64(1.0 - self.options.ageing_after);
        entry.value.is_some() && !entry.is_fresh(now + left)
    }

    /// Leaves nothing older than `version` to answer with: a load that began before the commit must not answer who
    /// comes after it.
    pub(super) fn overtake(&self, key: &str, version: u64) {
        self.coherence.outdate(&self.local, key, version);
        self.flights.detach(key);
    }

    /// Keeps `entry` in the process, unless changes may have been missed since `generation`.
    pub(super) fn keep_local(&self, key: &str, entry: Entry, generation: u64, now: Timestamp) {
        if generation == self.coherence.generation() && !self.options.in_process.is_zero() {
            let until = (now + self.options.in_process).min(entry.fresh_until);
            let held = Held {
                entry,
                generation,
                until,
            };
            self.local.keep(key, held);
        }
    }

    /// Writes what a load brought. Failing to is no failure of the load.
    pub(super) async fn fill_store(&self, key: &str, entry: &Entry, now: Timestamp) {
        if let Err(error) = self.write_store(key, entry, now).await {
            tracing::debug!(%error, "a value could not be cached");
        }
    }

    /// Writes a change through; what fails is repaired.
    pub(super) async fn change_store(&self, key: &str, entry: &Entry, now: Timestamp) {
        // Whoever waits for this may go away in the middle of it.
        let unwritten = self.coherence.unwritten(key, entry.version);
        match self.write_store(key, entry, now).await {
            Ok(_) => unwritten.written(),
            Err(error) => {
                tracing::debug!(%error, "a change could not be written to the store and waits to be repaired there");
            }
        }
    }

    async fn write_store(&self, key: &str, entry: &Entry, now: Timestamp) -> Result<bool, crate::store::StoreError> {
        let ttl = entry.kept_until.since(now);
        match entry.encode(self.format) {
            Some(bytes) => self.store.put_if_newer(key, entry.version, &bytes, ttl).await,
            None => self.store.tombstone(key, entry.version, ttl).await,
        }
    }

    pub(super) fn fresh_entry<V: Serialize>(
        &self,
        version: u64,
        value: &V,
        now: Timestamp,
    ) -> Result<Entry, serde_json::Error> {
        let jitter = rand::rng().random_range(0.9..=1.0);
        let kept = if self.may_be_stale {
            self.options.stale.max(self.options.fresh)
        } else {
            self.options.fresh
        };
        Ok(Entry {
            version,
            epoch: self.coherence.epoch(),
            fresh_until: now + self.options.fresh.mul_f64(jitter),
            kept_until: now + kept,
            value: Some(serde_json::to_vec(value)?.into()),
        })
    }

    pub(super) fn count(&self, layer: Layer, outcome: &'static str) {
        self.metrics.cache_read(layer.label(), outcome);
    }
}
