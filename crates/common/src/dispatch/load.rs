//! What a dispatcher and its sends share: what is under way, what rests, and when a sign of life was given.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claim::Wanted;
use super::progress::Progress;
use super::sender::Sender;
use super::{Delivery, DispatchOptions};
use crate::database::Database;
use crate::messaging::Changes;
use crate::telemetry::Metrics;

/// How many deliveries of other dispatchers are believed at most: room for some dozen that all lost the database.
const MAX_OTHERS: usize = 10_000;
/// A send that has waited for the other side for longer than this takes no place any more.
const SILENT: Duration = Duration::from_secs(3);
/// How many sends may be under way, those without a place included: so many times the places.
const MAX_SILENT: usize = 8;

/// What the dispatcher and its sends share.
pub(super) struct Shared<S> {
    pub(super) changes: Changes,
    pub(super) database: Database,
    pub(super) sender: S,
    pub(super) options: DispatchOptions,
    pub(super) metrics: Metrics,
    pub(super) stopping: CancellationToken,
    /// Id of this dispatcher in the rows that it has taken.
    pub(super) holder: Uuid,
    wake: Waker,
    freed: Notify,
    load: Mutex<Load>,
}

/// Wakes a dispatcher when rows are due, and knows which destinations asked for a pause. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    due: Arc<Notify>,
    /// Until when a destination asked not to be called.
    asked: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Waker {
    /// Wakes the dispatcher; call it after the commit.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// Whether a destination has asked for a pause that is not over, at most a minute.
    pub fn is_asked_to_wait(&self, destination: &str) -> bool {
        let asked = self.asked.lock();
        asked.get(destination).is_some_and(|until| *until > Instant::now())
    }

    fn was_asked(&self, destination: &str, until: Instant) {
        let mut asked = self.asked.lock();
        asked.retain(|_, until| *until > Instant::now());
        asked.insert(destination.to_owned(), until);
    }
}

/// What is under way here, what rests, and what others have in hand.
#[derive(Default)]
struct Load {
    in_hand: HashMap<Uuid, Arc<Hold>>,
    resting: HashMap<String, Instant>,
    /// Deliveries that another holder said over the broker that it has in hand, and until when that is believed.
    others: HashMap<Uuid, Instant>,
    /// When the last sign of life was given that the database or the broker took.
    sign: Option<Instant>,
}

/// A delivery that this dispatcher has in hand.
pub(super) struct Hold {
    pub(super) delivery: Uuid,
    destination: String,
    recipient: String,
    /// How far its send has come.
    pub(super) progress: Progress,
    /// When the lease was asked for.
    since: Instant,
    /// Cancelled when the row is somebody else's.
    pub(super) lost: CancellationToken,
}

impl Load {
    /// How many places each destination takes.
    fn busy(&self) -> HashMap<String, usize> {
        self.counted(|hold| &hold.destination)
    }

    /// The places that are taken, counted by what `of` names. A send that has waited long for the other side takes none: the
    /// other side may never answer, and others must not wait for that.
    fn counted(&self, of: impl Fn(&Hold) -> &String) -> HashMap<String, usize> {
        let mut counted = HashMap::new();
        for hold in self
            .in_hand
            .values()
            .filter(|hold| !hold.progress.waits_for_longer_than(SILENT))
        {
            *counted.entry(of(hold).clone()).or_default() += 1;
        }
        counted
    }
}

/// A place in the load; dropping it frees it.
pub(super) struct Slot<S: Sender> {
    shared: Arc<Shared<S>>,
    pub(super) hold: Arc<Hold>,
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
            holder: Uuid::now_v7(),
            wake: Waker::default(),
            freed: Notify::new(),
            load: Mutex::default(),
        }
    }

    pub(super) fn waker(&self) -> Waker {
        self.wake.clone()
    }

    /// Resolves when somebody woke the dispatcher.
    pub(super) async fn woken(&self) {
        self.wake.due.notified().await;
    }

    /// Resolves when the service stops and nothing is under way any more.
    pub(super) async fn drained(&self) {
        self.stopping.cancelled().await;
        while !self.load().in_hand.is_empty() {
            self.freed.notified().await;
        }
    }

    /// The deliveries that are under way here.
    pub(super) fn in_hand(&self) -> Vec<Arc<Hold>> {
        self.load().in_hand.values().cloned().collect()
    }

    /// What this dispatcher must not claim or give back: what is under way here, and what another holder says that it has.
    pub(super) fn spoken_for(&self) -> Vec<Uuid> {
        let mut load = self.load();
        load.others.retain(|_, until| *until > Instant::now());
        load.in_hand.keys().chain(load.others.keys()).copied().collect()
    }

    /// Believes another holder that it has these in hand, for as long as a lease; up to [`MAX_OTHERS`] in all.
    pub(super) fn believe(&self, deliveries: impl IntoIterator<Item = Uuid>) {
        let until = Instant::now() + self.options.lease;
        let mut load = self.load();
        let room = MAX_OTHERS.saturating_sub(load.others.len());
        load.others
            .extend(deliveries.into_iter().take(room).map(|id| (id, until)));
    }

    /// A sign of life was given at `asked`, for all that is in hand.
    pub(super) fn signed(&self, asked: Instant) {
        let mut load = self.load();
        load.sign = load.sign.max(Some(asked));
    }

    /// Until when no other dispatcher takes this delivery over.
    pub(super) fn believed_until(&self, hold: &Hold) -> Instant {
        let sign = self.load().sign.map_or(hold.since, |sign| sign.max(hold.since));
        sign + self.options.lease
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock()
    }

    /// What may be claimed now; `None` when every place is taken.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let spoken_for = self.spoken_for();
        let mut load = self.load();
        load.resting.retain(|_, until| *until > Instant::now());
        let (places, cap) = (self.options.places, self.options.places_per_destination);
        let busy = load.busy();
        let full = busy.iter().filter(|(_, sends)| **sends >= cap);
        let full = full.map(|(name, _)| name.clone()).collect();
        let turns = self.options.places_per_recipient;
        let served = load.counted(|hold| &hold.recipient);
        let served = served.into_iter().filter(|(_, sends)| *sends >= turns);
        let all = places * MAX_SILENT;
        let wanted = Wanted {
            limit: places
                .saturating_sub(busy.values().sum())
                .min(all.saturating_sub(load.in_hand.len())),
            per_destination: cap,
            per_recipient: turns,
            lease: self.options.lease,
            holder: self.holder,
            spoken_for,
            full,
            resting: load.resting.keys().cloned().collect(),
            served: served.map(|(recipient, _)| recipient).collect(),
            busy: busy.into_iter().collect(),
        };
        (wanted.limit > 0).then_some(wanted)
    }

    /// Leaves a destination alone for `pause`; `asked`: the destination itself wanted that. A pause that is under way is
    /// never made shorter.
    pub(super) fn pause(&self, destination: &str, pause: Duration, asked: bool) {
        let until = Instant::now() + pause;
        if asked {
            self.wake.was_asked(destination, until);
        }
        let mut load = self.load();
        let resting = load.resting.entry(destination.to_owned()).or_insert(until);
        *resting = until.max(*resting);
    }

    /// Takes a place for a delivery that was claimed, with a lease that was asked for at `since`.
    pub(super) fn take(self: &Arc<Self>, delivery: &Delivery, since: Instant) -> Slot<S> {
        let hold = Arc::new(Hold {
            delivery: delivery.id,
            destination: delivery.destination.clone(),
            recipient: delivery.recipient.clone(),
            progress: Progress::default(),
            since,
            lost: CancellationToken::new(),
        });
        self.load().in_hand.insert(delivery.id, Arc::clone(&hold));
        Slot {
            shared: Arc::clone(self),
            hold,
        }
    }
}

impl<S: Sender> Drop for Slot<S> {
    fn drop(&mut self) {
        let mut load = self.shared.load();
        load.in_hand.remove(&self.hold.delivery);
        let options = &self.shared.options;
        let busy = load.busy();
        let left = busy.get(&self.hold.destination).copied().unwrap_or_default();
        // When half is free, not each time: to claim for every single place would cost a statement for each send.
        if busy.values().sum::<usize>() <= options.places / 2 || left <= options.places_per_destination / 2 {
            self.shared.wake.wake();
        }
        self.shared.freed.notify_one();
    }
}
