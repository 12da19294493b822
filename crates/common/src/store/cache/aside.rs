//! The cache itself: a read goes through the layers, a write goes into them.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::coherence::Coherence;
use super::entry::Entry;
use super::flights::{Answer, Flight, Flights};
use super::layers::{Found, Layers};
use super::local::{Held, Local};
use super::refresh::{LOCK, Refresh};
use super::{CacheOptions, Layer, LoadError, Loaded, Read, ReadError, Reason};
use crate::Timestamp;
use crate::process::Tasks;
use crate::store::{Locks, Store};
use crate::telemetry::Metrics;

/// Waiters wait this much longer than the load's own deadline, so that the load's own end comes first.
const MARGIN: Duration = Duration::from_millis(500);
/// How long after a failed load the last value known is answered without another try, where nobody vouches for it.
const UNVOUCHED_REST: Duration = Duration::from_secs(1);

/// A key of the cache, bound to the one type that stands under it.
pub trait CacheKey: Send + Sync {
    /// What is cached, as it is answered.
    type Value: Serialize + Send + 'static;
    /// Form of the value; raised when its JSON changes, so that entries of the old form are misses.
    const FORMAT: u8;
    /// Whether an old value may be answered when the database is slow or away. Never for what decides about rights.
    const MAY_BE_STALE: bool;
    /// The key in the store, behind the store's prefix.
    fn store_key(&self) -> String;
}

/// A cache of one kind of value, in this process, in the store and before the database.
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
    /// Makes a cache over `store`; `tasks` own what it does in the background.
    pub fn new(store: Store, options: CacheOptions, metrics: Metrics, tasks: Tasks) -> Self {
        metrics.caches(LOCK);
        let coherence = Arc::new(Coherence::new(store.clone(), metrics.clone(), tasks.stopping().clone()));
        let local = Arc::new(Local::new(options.in_process_bytes));
        coherence.spawn(&local, &tasks);
        let layers = Layers {
            hits_in_process: metrics.cache_reads(Layer::InProcess.label(), "hit"),
            locks: Locks::new(store.clone(), tasks.clone(), metrics.clone()),
            store,
            local,
            coherence,
            flights: Flights::default(),
            loads: Semaphore::new(options.loads),
            options,
            format: K::FORMAT,
            may_be_stale: K::MAY_BE_STALE,
            metrics,
        };
        Self {
            layers: Arc::new(layers),
            tasks,
            key: PhantomData,
        }
    }

    /// Waits until the changes of other replicas are heard, `within` at the longest; says whether they are. Until then
    /// nothing is answered from the process.
    pub async fn hears_others(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        while !self.layers.coherence.hears() && Instant::now() < end {
            sleep(Duration::from_millis(2)).await;
        }
        self.layers.coherence.hears()
    }

    /// Reads through the layers; `load` asks the database, at most once a key at a time.
    ///
    /// # Errors
    /// When the load fails or is late ([`CacheOptions::deadline`]) and no value is left that may be answered.
    ///
    /// # Cancel safety
    /// A reader that is dropped leaves the load going on for the others.
    pub async fn read<L, F>(&self, key: &K, now: Timestamp, load: L) -> Result<Read, ReadError>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        let key = key.store_key();
        match self.layers.look_into_process(&key, now) {
            Ok(entry) => Ok(self.hit(key, now, (&entry, Layer::InProcess), load)),
            // In a box, so that a read which the process answers does not carry the room that the others need.
            Err(held) => Box::pin(self.read_further(key, now, held, load)).await,
        }
    }

    /// Answers with a fresh value, and has it refreshed before its fresh life is over.
    fn hit<L, F>(&self, key: String, now: Timestamp, (entry, layer): (&Entry, Layer), load: L) -> Read
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        if self.layers.is_ageing(entry, now) && !self.rests(&key) {
            drop(self.join(key, now, "ageing", Reason::Hit, load));
        }
        entry.answer(layer, Reason::Hit, now)
    }

    /// Reads what the process can't answer by itself.
    async fn read_further<L, F>(
        &self,
        key: String,
        now: Timestamp,
        held: Option<Held>,
        load: L,
    ) -> Result<Read, ReadError>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        match self.layers.look_further(&key, now, held).await {
            Found::Fresh(entry, layer) => Ok(self.hit(key, now, (&entry, layer), load)),
            Found::Stale(entry, layer) if K::MAY_BE_STALE => {
                let last_known = entry.answer(layer, Reason::FailSafe, now);
                if self.rests(&key) {
                    return Ok(last_known);
                }
                let (answer, is_first) = self.join(key, now, "stale", Reason::Stale, load);
                if !is_first {
                    return Ok(last_known);
                }
                let in_time = timeout(self.layers.options.soft_deadline, answer.wait()).await;
                Ok(in_time.ok().and_then(Result::ok).unwrap_or(last_known))
            }
            Found::Stale(..) => self.wait_for_load(key, now, Reason::Stale, None, load).await,
            Found::Nothing { last_known, reason } => {
                let last_known = last_known.filter(|_| K::MAY_BE_STALE);
                let last_known = last_known.map(|(entry, layer)| entry.answer(layer, Reason::FailSafe, now));
                self.wait_for_load(key, now, reason, last_known, load).await
            }
        }
    }

    /// Writes a value through, after the commit that made it. Failing to is no failure of the write.
    ///
    /// From then on this process answers with nothing older. Other replicas do so once they hear of the change.
    pub async fn put(&self, key: &K, version: u64, value: &K::Value, now: Timestamp) {
        match self.layers.fresh_entry(version, value, now) {
            Ok(entry) => self.change(key.store_key(), entry, now).await,
            Err(error) => tracing::error!(%error, "a value could not be written as JSON"),
        }
    }

    /// Says that a value is gone as of `version`, after the commit that deleted it. No slow reader brings it back.
    pub async fn remove(&self, key: &K, version: u64, now: Timestamp) {
        let until = now + self.layers.options.tombstone;
        let gone = Entry::absent(version, self.layers.coherence.epoch(), until);
        self.change(key.store_key(), gone, now).await;
    }

    /// Guards a change that is about to be committed as `version`, whose commit may happen without an answer, or when
    /// nobody waits for the answer any more. Unless [`Doubt::is_over`] is called, what is older than `version` is
    /// forgotten when the guard is dropped.
    pub fn doubt(&self, key: &K, version: u64) -> Doubt {
        Doubt {
            layers: Arc::clone(&self.layers),
            key: key.store_key(),
            version,
            is_over: false,
        }
    }

    async fn change(&self, key: String, entry: Entry, now: Timestamp) {
        let layers = &self.layers;
        layers.overtake(&key, entry.version);
        layers.keep_local(&key, entry.clone(), layers.coherence.generation(), now);
        layers.change_store(&key, &entry, now).await;
        layers.coherence.tell_before_the_end().await;
    }

    /// Answers with what a load brings, or with what was known last.
    async fn wait_for_load<L, F>(
        &self,
        key: String,
        now: Timestamp,
        told: Reason,
        last_known: Option<Read>,
        load: L,
    ) -> Result<Read, ReadError>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        if let Some(last_known) = &last_known
            && self.layers.flights.rests(&key, UNVOUCHED_REST)
        {
            return Ok(last_known.clone());
        }
        let (answer, _) = self.join(key, now, "miss", told, load);
        let limit = self.layers.options.deadline + MARGIN;
        let answer = timeout(limit, answer.wait()).await.unwrap_or(Err(ReadError::TimedOut));
        answer.or_else(|error| last_known.ok_or(error))
    }

    /// Whether what is old but vouched for is answered without another try.
    fn rests(&self, key: &str) -> bool {
        self.layers.flights.rests(key, self.layers.options.rest)
    }

    /// Joins the key's flight, or begins one; says whether it did.
    fn join<L, F>(&self, key: String, now: Timestamp, reason: &'static str, told: Reason, load: L) -> (Answer, bool)
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Option<Loaded<K::Value>>, LoadError>> + Send + 'static,
    {
        let (answer, flight) = self.layers.flights.join(&key);
        let is_first = flight.is_some();
        if let Some(flight) = flight {
            let refresh = Refresh {
                layers: Arc::clone(&self.layers),
                key,
                now,
                reason,
                told,
            };
            self.tasks
                .spawn("cache refresh", lead(flight, self.layers.options.rest, refresh, load));
        }
        (answer, is_first)
    }
}

/// Leads a flight: whatever becomes of the load, the flight ends.
async fn lead<V, L, F>(flight: Flight, rest: Duration, refresh: Refresh, load: L)
where
    V: Serialize,
    L: FnOnce() -> F,
    F: Future<Output = Result<Option<Loaded<V>>, LoadError>>,
{
    let outcome = refresh.run(&flight, load).await;
    if outcome.is_err() {
        flight.rest(rest);
    }
    flight.land(outcome);
}

/// The possibility that a change was committed. Dropped before [`Doubt::is_over`], it has what is older than the change
/// forgotten, here, in the store and by the other replicas.
#[must_use = "dropped at once, it forgets before the change is made"]
pub struct Doubt {
    layers: Arc<Layers>,
    key: String,
    version: u64,
    is_over: bool,
}

impl Doubt {
    /// Ends the doubt: the change is committed, and the cache was told of it.
    pub fn is_over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if !self.is_over {
            self.layers.overtake(&self.key, self.version);
            drop(self.layers.coherence.unwritten(&self.key, self.version));
        }
    }
}
