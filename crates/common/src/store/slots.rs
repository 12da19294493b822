//! Long-lived connections to Redis, shared by all commands.
//!
//! A checkout from deadpool-redis and its PING for every command would divide the throughput by 4.3,
//! so each connection is taken out of the pool and put into a slot. `upkeep` dials what is missing and
//! checks what stands. No command ever dials or waits for a dial: with no connection the answer is
//! [`StoreError::Away`], at once.
//!
//! Two slots are for every thread. A thread that serves requests has one of its own besides, whose connection its own
//! runtime drives: a command from there wakes no other thread, and neither does its answer. While that slot is empty,
//! the thread uses the two.
//!
//! A breaker opens after three failed commands in a row, so a server that hangs costs three timeouts, and
//! those that were under way by then.
//! One late answer is no reason to hang up: `upkeep` pings the connection, and drops it when the ping is
//! not answered either.

use std::{
    cell::Cell,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool_redis::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use parking_lot::{Mutex, RwLock};
use tokio::{runtime::Handle, sync::Notify, time::timeout};

use super::{StoreError, Timeouts, dialer::Dialer};
use crate::resilience::{Breaker, BreakerOptions, BreakerState, Verdict};

/// Slots that all threads share. More connections only thin the batching of each, as measurements showed.
const SHARED: usize = 2;
/// So many threads can have a slot of their own.
const OWN: usize = 64;
/// So many failed commands in a row open the breaker.
const FAILURES_TO_OPEN: usize = 3;
/// How long the breaker stays open at first: short, since a probe without a connection costs nothing,
/// and one on a slow connection costs one reader one timeout.
const OPEN_FIRST: Duration = Duration::from_millis(100);
/// The same at most, before its jitter of a fifth.
const OPEN_LIMIT: Duration = Duration::from_millis(200);
/// So long after the server was away nobody answers from what stands in it: whoever could not write to it meanwhile
/// repairs that first.
const SETTLES_IN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Slots(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) dialer: Dialer,
    pub(super) slots: Box<[Slot]>,
    /// How many threads have asked for one of their own.
    owners: AtomicUsize,
    next: AtomicUsize,
    pub(super) generation: AtomicU64,
    response: Duration,
    pub(super) breaker: Arc<Breaker>,
    pub(super) doubted: Notify,
    pub(super) stands: Notify,
    /// What is to be done about the server, while it is away and that is known.
    cure: RwLock<Option<&'static str>>,
    began: Instant,
    /// When it was last found to be away, in milliseconds after `began`, plus one: 0 means never.
    away_at: AtomicU64,
}

thread_local! {
    /// This thread's own slot: the address of the [`Slots`] that it is one of, and its index there.
    static OWN_SLOT: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Room for one connection.
pub(super) struct Slot {
    standing: RwLock<Option<Standing>>,
    home: Mutex<Home>,
}

/// Whose runtime drives the connection of a slot.
#[derive(Clone)]
pub(super) enum Home {
    /// That of the task which dials.
    Shared,
    /// That of the thread to which the slot belongs.
    Of(Handle),
    /// The slot belongs to nobody, or to a thread that has ended, and stays empty.
    Nobody,
}

/// A connection with its node, and its generation, which tells a late failure of an older connection apart.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) generation: u64,
    pub(super) connection: MultiplexedConnection,
    pub(super) node: Arc<str>,
}

impl Slots {
    pub(super) fn new(dialer: Dialer, timeouts: Timeouts) -> Self {
        let shared = (0..SHARED).map(|_| Slot::of(Home::Shared));
        let own = (0..OWN).map(|_| Slot::of(Home::Nobody));
        Self(Arc::new(Inner {
            dialer,
            slots: shared.chain(own).collect(),
            owners: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            response: timeouts.response,
            breaker: Breaker::new(breaker_options(timeouts.response), Instant::now()),
            doubted: Notify::new(),
            stands: Notify::new(),
            began: Instant::now(),
            away_at: AtomicU64::new(0),
            cure: RwLock::default(),
        }))
    }

    /// Gives this thread a slot of its own, if there still is one, and has it filled.
    pub(super) fn take_own(&self, home: Handle) {
        let number = SHARED + self.0.owners.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = self.0.slots.get(number) {
            slot.settle(Home::Of(home));
            OWN_SLOT.set(Some((self.address(), number)));
            self.0.doubted.notify_one();
        }
    }

    /// The slots that this thread may use, best first.
    fn usable(&self) -> impl Iterator<Item = &Slot> {
        let own = OWN_SLOT.get().filter(|(address, _)| *address == self.address());
        let own = own.and_then(|(_, number)| self.0.slots.get(number));
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        let shared = (0..SHARED).map(move |n| &self.0.slots[(first + n) % SHARED]);
        own.into_iter().chain(shared)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub(super) fn cure(&self) -> Option<&'static str> {
        *self.0.cure.read()
    }

    pub(super) fn note_cure(&self, cure: Option<&'static str>) {
        *self.0.cure.write() = cure;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.0.slots.iter().any(|slot| slot.get().is_some())
    }

    /// Whether it was not away within the last second.
    pub(super) fn is_settled(&self) -> bool {
        let away_at = self.0.away_at.load(Ordering::Relaxed);
        away_at == 0 || self.0.began.elapsed() >= Duration::from_millis(away_at) + SETTLES_IN
    }

    pub(super) fn note_away(&self) {
        let at = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.away_at.store(at.saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        &self.0.breaker
    }

    pub(super) fn breaker_state(&self) -> BreakerState {
        self.0.breaker.state(Instant::now())
    }

    pub(super) async fn connected(&self, within: Duration) -> bool {
        let wait = async {
            loop {
                let stands = self.0.stands.notified();
                if self.is_connected() {
                    return;
                }
                stands.await;
            }
        };
        timeout(within, wait).await.is_ok()
    }

    /// Runs one command, or one script, on a connection that stands, unless the breaker is open.
    pub(super) async fn run<T, F, R>(&self, call: F) -> Result<T, StoreError>
    where
        F: FnOnce(MultiplexedConnection) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        let Ok(permit) = self.0.breaker.admit(Instant::now()) else {
            self.note_away();
            // A caller that tries in a tight loop must not keep the dialling task from running.
            tokio::task::yield_now().await;
            return Err(StoreError::Away);
        };
        let outcome = self.run_on_a_slot(call).await;
        let verdict = match &outcome {
            Ok(_) | Err(StoreError::Refused(_)) => Verdict::Success,
            Err(StoreError::Away) => {
                self.note_away();
                Verdict::Failure
            }
            Err(StoreError::TimedOut) => Verdict::Failure,
        };
        permit.report(verdict, Instant::now());
        outcome
    }

    async fn run_on_a_slot<T, F, R>(&self, call: F) -> Result<T, StoreError>
    where
        F: FnOnce(MultiplexedConnection) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        let standing = self.usable().find_map(|slot| Some((slot, slot.get()?)));
        let Some((slot, standing)) = standing else {
            tokio::task::yield_now().await;
            return Err(StoreError::Away);
        };
        // The connection has its own limit for an answer; a script may need three.
        match timeout(self.0.response * 3, call(standing.connection)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if !error.is_timeout() => Err(self.failed(slot, standing.generation, error)),
            Ok(Err(_)) | Err(_) => {
                self.0.doubted.notify_one();
                Err(StoreError::TimedOut)
            }
        }
    }

    fn failed(&self, slot: &Slot, generation: u64, error: RedisError) -> StoreError {
        if error.is_io_error() || error.is_unrecoverable_error() || is_not_serving(&error) {
            slot.discard(generation);
            self.0.doubted.notify_one();
            return StoreError::Away;
        }
        StoreError::Refused(error)
    }
}

impl Slot {
    fn of(home: Home) -> Self {
        Self {
            standing: RwLock::default(),
            home: Mutex::new(home),
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self.home(), Home::Shared)
    }

    pub(super) fn home(&self) -> Home {
        self.home.lock().clone()
    }

    pub(super) fn settle(&self, home: Home) {
        *self.home.lock() = home;
    }

    pub(super) fn get(&self) -> Option<Standing> {
        self.standing.read().clone()
    }

    pub(super) fn fill(&self, standing: Standing) {
        *self.standing.write() = Some(standing);
    }

    /// Drops the connection of this generation; a newer one stays.
    pub(super) fn discard(&self, generation: u64) {
        let mut held = self.standing.write();
        if held.as_ref().is_some_and(|held| held.generation == generation) {
            *held = None;
        }
    }
}

fn breaker_options(response: Duration) -> BreakerOptions {
    BreakerOptions {
        window_calls: FAILURES_TO_OPEN,
        minimum_calls: FAILURES_TO_OPEN,
        failure_rate: 1.0,
        // A command that is slow has timed out: it is counted as failed.
        slow_call: Duration::MAX,
        open_first: OPEN_FIRST,
        open_limit: OPEN_LIMIT,
        probes: 1,
        probe_deadline: response * 4,
        ..BreakerOptions::default()
    }
}

/// A server that answers, and yet is not the one to talk to: loading, demoted to a replica, or one of a cluster.
fn is_not_serving(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Server(BusyLoading | MasterDown | ReadOnly | Moved | Ask | ClusterDown)
    )
}
