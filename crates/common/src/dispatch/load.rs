//! What a dispatcher and its sends share: how much is under way, and what rests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claim::Wanted;
use super::sender::Sender;
use super::{Delivery, DispatchOptions};
use crate::database::Database;
use crate::messaging::Changes;
use crate::telemetry::Metrics;

/// What the dispatcher and its sends share.
pub(super) struct Shared<S> {
    pub(super) changes: Changes,
    pub(super) database: Database,
    pub(super) sender: S,
    pub(super) options: DispatchOptions,
    pub(super) metrics: Metrics,
    pub(super) stopping: CancellationToken,
    wake: Arc<Notify>,
    load: Mutex<Load>,
}

/// Tells a dispatcher that rows are due now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes the dispatcher; call it after the commit.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// What is under way here, and what rests.
#[derive(Default)]
struct Load {
    in_hand: HashSet<Uuid>,
    by_destination: HashMap<String, usize>,
    resting: HashMap<String, Instant>,
}

/// A place in the load; dropping it frees it.
pub(super) struct Slot<S: Sender> {
    shared: Arc<Shared<S>>,
    delivery: Uuid,
    destination: String,
}

impl<S: Sender> Shared<S> {
    pub(super) fn new(
        changes: Changes,
        sender: S,
        options: DispatchOptions,
        metrics: Metrics,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            database: changes.database().clone(),
            changes,
            sender,
            options,
            metrics,
            stopping,
            wake: Arc::default(),
            load: Mutex::default(),
        }
    }

    pub(super) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Resolves when somebody woke the dispatcher.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The deliveries that are under way here.
    pub(super) fn in_hand(&self) -> Vec<Uuid> {
        self.load().in_hand.iter().copied().collect()
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be claimed now; `None` when every place is taken.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let mut load = self.load();
        load.resting.retain(|_, until| *until > Instant::now());
        let cap = self.options.places_per_destination;
        let full = load
            .by_destination
            .iter()
            .filter(|(_, sends)| **sends >= cap)
            .map(|(name, _)| name.clone());
        let wanted = Wanted {
            limit: self.options.places.saturating_sub(load.in_hand.len()),
            per_destination: cap,
            lease: self.options.lease,
            in_hand: load.in_hand.iter().copied().collect(),
            busy: load
                .by_destination
                .iter()
                .map(|(name, sends)| (name.clone(), *sends))
                .collect(),
            closed: full.chain(load.resting.keys().cloned()).collect(),
        };
        (wanted.limit > 0).then_some(wanted)
    }

    /// Leaves a destination alone for a while; a shorter while than one that is under way changes nothing.
    pub(super) fn pause(&self, destination: &str, pause: Duration) {
        let until = Instant::now() + pause;
        let mut load = self.load();
        let resting = load.resting.entry(destination.to_owned()).or_insert(until);
        *resting = until.max(*resting);
    }

    /// Takes a place for a delivery that was claimed.
    pub(super) fn take(self: &Arc<Self>, delivery: &Delivery) -> Slot<S> {
        let mut load = self.load();
        load.in_hand.insert(delivery.id);
        *load.by_destination.entry(delivery.destination.clone()).or_default() += 1;
        Slot {
            shared: Arc::clone(self),
            delivery: delivery.id,
            destination: delivery.destination.clone(),
        }
    }
}

impl<S: Sender> Drop for Slot<S> {
    fn drop(&mut self) {
        let mut load = self.shared.load();
        load.in_hand.remove(&self.delivery);
        let left = load.by_destination.get_mut(&self.destination).map_or(0, |sends| {
            *sends -= 1;
            *sends
        });
        if left == 0 {
            load.by_destination.remove(&self.destination);
        }
        let options = &self.shared.options;
        // At half, not at each: a claim for every single place would cost a statement a send.
        if load.in_hand.len() <= options.places / 2 || left <= options.places_per_destination / 2 {
            self.shared.wake.notify_one();
        }
    }
}
