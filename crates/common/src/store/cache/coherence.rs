//! What makes the layers of several replicas tell the same: changes are told, heard, and repaired.
//!
//! A change is told to the others by key and version, without its value; they drop what is older. What a process holds
//! is answered only while it is certain that it hears: until a second after it last asked the server, over the
//! subscription's own connection, and had handled everything that came before the answer. So a replica that is cut
//! off, frozen or out of breath answers from the process for a second at most, whatever the life of its entries.
//! After a subscription was lost, what was held before is answered only as a last resort.
//!
//! A change that could not be written to the store is marked, its key not read from there, and repaired as soon as
//! the store answers. Nobody else reads the store in the second after it was away, so that there is time for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::local::Local;
use super::outgoing::{News, Outgoing};
use super::repairs::{Repair, Repairs};
use crate::process::Tasks;
use crate::store::{Heard, Lost, Store, StoreError, Subscription};
use crate::telemetry::Metrics;

/// The channel, behind the store's prefix.
const CHANNEL: &str = "invalidations";
/// The key of a number that is part of the epoch. Entries of the store carry the epoch; those with another one are old.
const EPOCH_KEY: &str = "epoch";
/// Longer than any entry is kept.
const EPOCH_LIVES: Duration = Duration::from_hours(30 * 24);
/// How long what is held may be answered after everything was heard.
const TRUST: Duration = Duration::from_secs(1);
/// Changes that come within this are told together.
const COALESCE: Duration = Duration::from_millis(5);
/// How often the epoch is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before a try again, to subscribe, to tell or to repair.
const AGAIN: Duration = Duration::from_millis(50);
/// Keys that are repaired side by side.
const REPAIRS_AT_ONCE: usize = 64;
/// How long telling the last changes may hold up a request, when the service stops.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub(super) struct Coherence {
    store: Store,
    metrics: Metrics,
    /// A process knows its own messages by this.
    origin: String,
    began: Instant,
    /// Until when what is held may be answered, in milliseconds after `began`.
    trusted_until: AtomicU64,
    generation: AtomicU64,
    /// 0: not known.
    epoch: AtomicU64,
    outgoing: Outgoing,
    pub(super) repairs: Repairs,
    stopping: CancellationToken,
}

/// A change that has not reached the store yet. Dropped before it has, it waits to be repaired there.
pub(super) struct Unwritten<'a> {
    coherence: &'a Coherence,
    key: &'a str,
    version: u64,
    is_written: bool,
}

impl Unwritten<'_> {
    pub(super) fn written(mut self) {
        self.is_written = true;
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if self.is_written {
            self.coherence.repairs.done(self.key, self.version);
        } else {
            self.coherence.repairs.mark(self.key, self.version);
        }
        // After the store: who drops the old value must find the new one there.
        self.coherence.tell(self.key, self.version);
    }
}

impl Coherence {
    pub(super) fn new(store: Store, metrics: Metrics, stopping: CancellationToken) -> Self {
        Self {
            store,
            metrics,
            origin: uuid::Uuid::now_v7().simple().to_string(),
            began: Instant::now(),
            trusted_until: AtomicU64::new(0),
            generation: AtomicU64::new(1),
            epoch: AtomicU64::new(0),
            outgoing: Outgoing::default(),
            repairs: Repairs::default(),
            stopping,
        }
    }

    /// Hears, tells and repairs, until `tasks` stop.
    pub(super) fn spawn(self: &Arc<Self>, local: &Arc<Local>, tasks: &Tasks) {
        let stopping = tasks.stopping();
        let listen = Arc::clone(self).listen(Arc::clone(local));
        tasks.spawn("cache subscription", until(stopping.clone(), listen));
        tasks.spawn("cache announcements", Arc::clone(self).announce(stopping.clone()));
        tasks.spawn("cache repairs", until(stopping.clone(), Arc::clone(self).repair()));
        let coherence = Arc::clone(self);
        self.metrics.at_each_reading(move |metrics| {
            metrics.cache_subscription(coherence.hears());
            metrics.cache_repairs_pending(coherence.repairs.count());
        });
    }

    /// Whether all changes of others are heard, so that what is held of this generation may be answered.
    pub(super) fn hears(&self) -> bool {
        self.age() < self.trusted_until.load(Relaxed)
    }

    /// Raised each time changes may have been missed. A load keeps its value only in the generation that it began in.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Whether what stands in the store under this key may be answered.
    pub(super) fn may_read_store(&self, key: &str) -> bool {
        self.epoch() != 0 && self.store.is_settled() && !self.repairs.hold(key)
    }

    /// Has others drop what is older; what this process holds, it has dropped itself.
    pub(super) fn tell(&self, key: &str, version: u64) {
        if self.store.is_shared() {
            self.outgoing.add(key, version);
        }
    }

    /// A change that is about to be written to the store.
    pub(super) fn unwritten<'a>(&'a self, key: &'a str, version: u64) -> Unwritten<'a> {
        Unwritten {
            coherence: self,
            key,
            version,
            is_written: false,
        }
    }

    /// Tells and repairs what waits when the service stops: the tasks that do it have ended, the last requests have not.
    pub(super) async fn tell_before_the_end(&self) {
        if !self.stopping.is_cancelled() || !self.store.is_shared() {
            return;
        }
        let _ = timeout(LAST_WORDS, async {
            while self.repairs.count() > 0 {
                self.repair_next().await;
            }
            while !self.outgoing.is_empty() {
                self.announce_next().await;
            }
        })
        .await;
    }

    /// Drops what this process holds of a key that is older than `version`, and lets nothing older in.
    pub(super) fn outdate(&self, local: &Local, key: &str, version: u64) {
        if !local.outdate(key, version) {
            self.forget_all();
        }
    }

    /// From now on, nobody vouches for what is held, and no load that is under way keeps its value here.
    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    async fn listen(self: Arc<Self>, local: Arc<Local>) {
        let mut was_lost = false;
        loop {
            match self.subscribe().await {
                Ok(subscription) => {
                    if was_lost {
                        tracing::info!("the changes of other replicas are heard again");
                    }
                    tokio::select! {
                        Lost = self.hear(subscription, &local) => {}
                        () = self.keep_looking_at_epoch() => self.trusted_until.store(0, Relaxed),
                    }
                    tracing::warn!(
                        "the changes of other replicas are not heard; the in-process cache is off until they are"
                    );
                    was_lost = true;
                }
                Err(error) => tracing::debug!(%error, "the cache can't subscribe"),
            }
            sleep(AGAIN).await;
        }
    }

    async fn subscribe(&self) -> Result<Subscription, StoreError> {
        // Without a subscription the store is read all the same, so the epoch comes first.
        self.look_at_epoch().await?;
        let subscription = self.store.subscribe(CHANNEL).await?;
        // It may have been raised in between.
        self.look_at_epoch().await?;
        Ok(subscription)
    }

    async fn hear(&self, mut subscription: Subscription, local: &Local) -> Lost {
        self.forget_all();
        loop {
            match subscription.next().await {
                Ok(Heard::Everything { until }) => self.trust_until(until + TRUST),
                Ok(Heard::Message(message)) => self.apply(&message, local),
                Err(lost) => {
                    self.trusted_until.store(0, Relaxed);
                    return lost;
                }
            }
        }
    }

    fn apply(&self, message: &[u8], local: &Local) {
        match News::decode(message, &self.origin) {
            None => {}
            Some(News::Keys(keys)) => {
                self.metrics.cache_invalidations("received", count(keys.len()));
                for (key, version) in keys {
                    self.outdate(local, &key, version);
                }
            }
            Some(News::Everything { epoch }) => {
                self.metrics.cache_invalidations("received", 1);
                self.forget_all();
                if epoch != 0 {
                    self.epoch.store(epoch, Relaxed);
                }
            }
        }
    }

    fn trust_until(&self, until: Instant) {
        let until = until.saturating_duration_since(self.began);
        self.trusted_until.store(milliseconds(until), Relaxed);
    }

    async fn announce(self: Arc<Self>, stopping: CancellationToken) {
        if !self.store.is_shared() {
            return;
        }
        until(stopping, async {
            loop {
                self.announce_next().await;
            }
        })
        .await;
        self.tell_before_the_end().await;
    }

    async fn announce_next(&self) {
        let mut next = Unsent {
            news: self.outgoing.next(|| self.epoch()).await,
            outgoing: &self.outgoing,
            is_sent: false,
        };
        let message = next.news.encode(&self.origin);
        match self.store.publish(CHANNEL, message.as_bytes()).await {
            Ok(()) => {
                next.is_sent = true;
                let keys = match &next.news {
                    News::Keys(keys) => keys.len(),
                    News::Everything { .. } => 1,
                };
                self.metrics.cache_invalidations("sent", count(keys));
                sleep(COALESCE).await;
            }
            Err(error) => {
                drop(next);
                tracing::debug!(%error, "a change could not be told to other replicas yet");
                sleep(AGAIN).await;
            }
        }
    }

    async fn repair(self: Arc<Self>) {
        loop {
            self.repair_next().await;
        }
    }

    async fn repair_next(&self) {
        let repaired = match self.repairs.due().await {
            Repair::Keys(keys) => self.repair_keys(keys).await,
            Repair::All => self.raise_epoch().await,
        };
        if let Err(error) = repaired {
            tracing::debug!(%error, "what stands in the store can't be repaired yet");
            sleep(AGAIN).await;
        }
    }

    async fn repair_keys(&self, keys: Vec<(String, u64)>) -> Result<(), StoreError> {
        let repairs = keys.into_iter().map(async |(key, version)| {
            self.store.drop_older(&key, version).await?;
            self.repairs.done(&key, version);
            // Who read the old value meanwhile, or did not hear of the change, hears of it now.
            self.tell(&key, version);
            Ok(())
        });
        let repairs = stream::iter(repairs).buffer_unordered(REPAIRS_AT_ONCE);
        repairs.try_collect::<()>().await
    }

    /// Makes everything that stands in the store count as old.
    async fn raise_epoch(&self) -> Result<(), StoreError> {
        let raised = rand::random::<u64>().to_string();
        // Before the epoch is raised: a key that is marked meanwhile may hold a value of the new one, and stays marked.
        self.repairs.all_done();
        let raising = async {
            self.store.set(EPOCH_KEY, raised.as_bytes(), EPOCH_LIVES).await?;
            self.look_at_epoch().await
        };
        raising.await.inspect_err(|_| self.repairs.mark_all())?;
        self.outgoing.add_all();
        tracing::warn!("more changes missed the store than could be remembered; all entries there are invalidated");
        Ok(())
    }

    /// Reads the epoch. The server is a part of it: one that was started anew, or took over, may hold what is old.
    async fn look_at_epoch(&self) -> Result<(), StoreError> {
        let raised = self.store.get(EPOCH_KEY).await?;
        let raised = raised.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
        let epoch = raised.unwrap_or(0) ^ self.store.incarnation().await?;
        self.epoch.store(epoch, Relaxed);
        Ok(())
    }

    /// Returns when the epoch is another one: another server may have taken over, on which the others tell their changes.
    async fn keep_looking_at_epoch(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            let before = self.epoch();
            match self.look_at_epoch().await {
                Ok(()) if self.epoch() != before => return,
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "the cache's epoch can't be read"),
            }
        }
    }

    fn age(&self) -> u64 {
        milliseconds(self.began.elapsed())
    }
}

/// News that wait again if they are dropped before they are sent.
struct Unsent<'a> {
    outgoing: &'a Outgoing,
    news: News,
    is_sent: bool,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if !self.is_sent {
            self.outgoing.put_back(&self.news);
        }
    }
}

async fn until(stopping: CancellationToken, work: impl Future<Output = ()>) {
    let _ = stopping.run_until_cancelled(work).await;
}

fn count(keys: usize) -> u64 {
    u64::try_from(keys).unwrap_or(u64::MAX)
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
