//! Long-lived connections to Redis, shared by all commands.
//!
//! deadpool-redis dials and configures them; a checkout and its PING for every command would cost
//! 4.3 times the throughput, so each connection is taken out of the pool and put into a slot. A task
//! of its own dials what is missing and pings what stands still. No command ever dials or waits for
//! it: with no connection the answer is [`StoreError::Away`], at once.
//!
//! A breaker opens after three failed commands in a row, so a server that hangs costs three timeouts, and
//! those that were under way by then.
//! One late answer is no reason to hang up: the task pings the connection, and drops it when that is
//! not answered either.

use std::{
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool_redis::{
    Connection, Manager, Pool, PoolConfig, Runtime, Timeouts,
    redis::{
        AsyncConnectionConfig, ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection, cmd,
    },
};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{OpenError, StoreError};
use crate::resilience::{Breaker, BreakerOptions, BreakerState, Verdict};

/// Two: measured, more connections only thin the batching of each.
const SLOTS: usize = 2;
/// Pause between two tries to dial a server that is away.
const REDIAL_EVERY: Duration = Duration::from_millis(100);
/// So many failed commands in a row open the breaker.
const FAILURES_TO_OPEN: usize = 3;
/// How long the breaker stays open at first: short, since a probe without a connection costs nothing,
/// and one on a slow connection costs one reader one timeout.
const OPEN_FIRST: Duration = Duration::from_millis(100);
/// The same at most, before its jitter of a fifth.
const OPEN_LIMIT: Duration = Duration::from_millis(200);
/// How often a connection that nobody uses is asked whether it still stands.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long the store may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The answer to one command; the longest that a read loses to a server that hangs.
    pub response: Duration,
    /// Dialling and greeting, in the background.
    pub connect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response: Duration::from_millis(50),
            connect: Duration::from_millis(250),
        }
    }
}

#[derive(Clone)]
pub(super) struct Slots(Arc<Inner>);

struct Inner {
    pool: Pool,
    slots: [Slot; SLOTS],
    next: AtomicUsize,
    generation: AtomicU64,
    response: Duration,
    breaker: Arc<Breaker>,
    doubted: Notify,
    stands: Notify,
}

/// One connection with its generation, by which a late failure of an old one is told.
#[derive(Default)]
struct Slot(RwLock<Option<(u64, MultiplexedConnection)>>);

impl Slots {
    pub(super) fn new(url: &str, limits: Limits) -> Result<Self, OpenError> {
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits.connect))
            .set_response_timeout(Some(limits.response));
        let manager = Manager::new_with_config(url, connection).map_err(OpenError::Address)?;
        let timeouts = Timeouts {
            wait: Some(limits.connect),
            create: Some(limits.connect + Duration::from_millis(50)),
            recycle: Some(limits.connect),
        };
        let config = PoolConfig {
            max_size: SLOTS,
            timeouts,
            ..PoolConfig::default()
        };
        let pool = Pool::builder(manager)
            .config(config)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(OpenError::Pool)?;
        Ok(Self(Arc::new(Inner {
            pool,
            slots: <[Slot; SLOTS]>::default(),
            next: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            response: limits.response,
            breaker: Breaker::new(breaker_options(limits.response), Instant::now()),
            doubted: Notify::new(),
            stands: Notify::new(),
        })))
    }

    pub(super) fn is_connected(&self) -> bool {
        self.0.slots.iter().any(|slot| slot.get().is_some())
    }

    pub(super) fn breaker(&self) -> BreakerState {
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
            // A caller that tries in a tight loop must not keep the dialling task from running.
            tokio::task::yield_now().await;
            return Err(StoreError::Away);
        };
        let outcome = self.run_on_a_slot(call).await;
        let verdict = match &outcome {
            Ok(_) | Err(StoreError::Refused(_)) => Verdict::Success,
            Err(StoreError::Away | StoreError::TimedOut) => Verdict::Failure,
        };
        permit.report(verdict, Instant::now());
        outcome
    }

    async fn run_on_a_slot<T, F, R>(&self, call: F) -> Result<T, StoreError>
    where
        F: FnOnce(MultiplexedConnection) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        let standing = (0..SLOTS)
            .map(|n| &self.0.slots[(first + n) % SLOTS])
            .find_map(|slot| slot.get().map(|connection| (slot, connection)));
        let Some((slot, (generation, connection))) = standing else {
            tokio::task::yield_now().await;
            return Err(StoreError::Away);
        };
        // The connection has its own limit for an answer; a script may need three.
        match timeout(self.0.response * 3, call(connection)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if !error.is_timeout() => Err(self.failed(slot, generation, error)),
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

    /// Keeps every slot filled until `stopping`.
    pub(super) async fn keep_connected(self, stopping: CancellationToken) {
        let mut was_away = false;
        loop {
            let whole = self.dial_missing().await;
            if whole == was_away {
                was_away = !whole;
                if whole {
                    tracing::info!("the store is back");
                } else {
                    tracing::warn!("the store is away; reads go to the database");
                }
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.pause(whole) => {}
            }
        }
    }

    /// Waits for a reason to look again, a doubt or the time, and asks every connection whether it still stands.
    async fn pause(&self, whole: bool) {
        if whole {
            tokio::select! {
                () = self.0.doubted.notified() => {}
                () = tokio::time::sleep(PING_EVERY) => {}
            }
        } else {
            tokio::time::sleep(REDIAL_EVERY).await;
        }
        self.ping_all().await;
    }

    async fn dial_missing(&self) -> bool {
        for slot in &self.0.slots {
            if slot.get().is_some() {
                continue;
            }
            let Ok(pooled) = self.0.pool.get().await else {
                return false;
            };
            let mut connection = Connection::take(pooled);
            // A server that is still loading its data accepts connections and refuses commands.
            if ping(&mut connection, self.0.response).await.is_err() {
                return false;
            }
            let generation = self.0.generation.fetch_add(1, Ordering::Relaxed);
            let mut held = slot.0.write().unwrap_or_else(PoisonError::into_inner);
            *held = Some((generation, connection));
            drop(held);
            self.0.stands.notify_waiters();
        }
        true
    }

    async fn ping_all(&self) {
        for slot in &self.0.slots {
            let Some((generation, mut connection)) = slot.get() else {
                continue;
            };
            if ping(&mut connection, self.0.response).await.is_err() {
                slot.discard(generation);
            } else if self.breaker() == BreakerState::HalfOpen
                && let Ok(permit) = self.0.breaker.admit(Instant::now())
            {
                // Without commands nobody else would find out that the server is well again.
                permit.report(Verdict::Success, Instant::now());
            }
        }
    }
}

impl Slot {
    fn get(&self) -> Option<(u64, MultiplexedConnection)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops the connection of this generation; a newer one stays.
    fn discard(&self, generation: u64) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|(now, _)| *now == generation) {
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

async fn ping(connection: &mut MultiplexedConnection, within: Duration) -> Result<(), ()> {
    let ping = cmd("PING");
    let answer = timeout(within, ping.query_async::<()>(connection));
    matches!(answer.await, Ok(Ok(()))).then_some(()).ok_or(())
}

/// A server that answers, and yet is not the one to talk to: loading, or demoted to a replica.
fn is_not_serving(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ReadOnly)
    )
}
