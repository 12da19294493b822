use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claim::{Wanted, claim, oldest_due, reap};
use super::deliver::deliver;
use super::{Delivery, DispatchOptions, Outcome};
use crate::Timestamp;
use crate::database::Database;
use crate::process::{Tasks, chain};
use crate::telemetry::Metrics;

/// After a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often the age of the oldest due row is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// What a service does with its deliveries.
pub trait Sender: Send + Sync + 'static {
    /// Tries a delivery once. May be called again for the same delivery: after a retry, and after a crash.
    fn send(&self, delivery: &Delivery) -> impl Future<Output = Outcome> + Send;

    /// Adds to the transaction that records an outcome, a retry included: the event that tells of it.
    ///
    /// The outcome is how the delivery stands: a retry that came too late is `Failed` or `Expired` here.
    fn record(
        &self,
        tx: &DatabaseTransaction,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// Called after that transaction was committed: the place to wake an outbox.
    fn committed(&self, _delivery: &Delivery, _outcome: &Outcome) {}
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

/// Starts a dispatcher; any number may work on one table.
///
/// It ends with `tasks`: takes no new work, finishes what is in hand, hands back what does not finish.
pub fn spawn_dispatcher<S: Sender>(
    database: Database,
    sender: S,
    options: DispatchOptions,
    metrics: Metrics,
    tasks: &Tasks,
) -> Waker {
    let wake = Arc::new(Notify::new());
    let shared = Arc::new(Shared {
        database,
        sender,
        options,
        metrics,
        stopping: tasks.stopping().clone(),
        wake: Arc::clone(&wake),
        load: Mutex::default(),
    });
    let owned = tasks.clone();
    tasks.spawn("dispatcher", async move { run(shared, owned).await });
    Waker(wake)
}

/// What the dispatcher and its sends share.
pub(super) struct Shared<S> {
    pub(super) database: Database,
    pub(super) sender: S,
    pub(super) options: DispatchOptions,
    pub(super) metrics: Metrics,
    pub(super) stopping: CancellationToken,
    wake: Arc<Notify>,
    load: Mutex<Load>,
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
    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> Option<Wanted> {
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
    pub(super) fn rest(&self, destination: &str, pause: Duration) {
        let until = Instant::now() + pause;
        let mut load = self.load();
        let resting = load.resting.entry(destination.to_owned()).or_insert(until);
        *resting = until.max(*resting);
    }

    fn take(self: &Arc<Self>, delivery: &Delivery) -> Slot<S> {
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

async fn run<S: Sender>(shared: Arc<Shared<S>>, tasks: Tasks) {
    let mut reaped = None;
    let mut measured = None;
    while !shared.stopping.is_cancelled() {
        let pause = match round(&shared, &tasks, &mut reaped, &mut measured).await {
            Ok(()) => shared.options.poll,
            Err(error) => {
                tracing::warn!(error = chain(&error), "deliveries wait: the database can't be asked");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes up all that is due and has a place.
async fn round<S: Sender>(
    shared: &Arc<Shared<S>>,
    tasks: &Tasks,
    reaped: &mut Option<Instant>,
    measured: &mut Option<Instant>,
) -> Result<(), DbErr> {
    if is_due(*reaped, shared.options.poll) {
        let in_hand: Vec<Uuid> = shared.load().in_hand.iter().copied().collect();
        let back = reap(&shared.database, &in_hand, Timestamp::now()).await?;
        if back > 0 {
            tracing::warn!(rows = back, "deliveries were left in the middle; they are tried again");
        }
        *reaped = Some(Instant::now());
    }
    while !shared.stopping.is_cancelled() {
        let Some(wanted) = shared.wanted() else { break };
        let rows = claim(&shared.database, &wanted, Timestamp::now()).await?;
        if rows.is_empty() {
            break;
        }
        for delivery in rows {
            let slot = shared.take(&delivery);
            let shared = Arc::clone(shared);
            tasks.spawn("delivery", async move {
                deliver(&shared, delivery).await;
                drop(slot);
            });
        }
    }
    // After the work, which it must not hold up: with very many rows due it may take too long.
    if is_due(*measured, MEASURE) {
        *measured = Some(Instant::now());
        if let Err(error) = measure(shared).await {
            tracing::warn!(error = chain(&error), "the oldest due deliveries can't be told");
        }
    }
    Ok(())
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

async fn measure<S: Sender>(shared: &Shared<S>) -> Result<(), DbErr> {
    let now = Timestamp::now();
    let oldest = oldest_due(&shared.database, now).await?;
    for channel in shared.options.channels {
        let since = oldest
            .iter()
            .find(|(name, _)| name == channel)
            .map(|(_, at)| now.since(*at));
        shared.metrics.delivery_oldest_due(channel, since.unwrap_or_default());
    }
    Ok(())
}
