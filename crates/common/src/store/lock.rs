//! A lock that processes share: for efficiency, never for correctness.
//!
//! It is a key that lives for a lease, with its owner's token as the value; the owner renews it and deletes it by
//! that token alone (the algorithm of Redis' documentation for a single node). It keeps two from doing the same work
//! at the same time, as long as nothing goes wrong. A holder that is paused (by its machine, by SIGSTOP) for longer
//! than its lease goes on without knowing that another holds the lock by now:
//!
//! ```text
//! A  takes the lock, number 7 --- paused ------------------------ writes with number 7: refused
//! B                                 takes the lock, number 8 --- writes
//! ```
//!
//! So what must not be done twice carries a fencing number, which the holder takes from the database *after* it has
//! the lock, and the statement that writes compares it with the highest that was given out (M. Kleppmann, "How to do
//! distributed locking", 2016). Where the server is away there is no lock, and the caller decides what that means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::process::Tasks;
use crate::telemetry::Metrics;

/// A lease is renewed whenever this part of it, a third, has passed.
const RENEWALS: u32 = 3;

/// The locks of one store. Cheap to clone.
#[derive(Clone)]
pub struct Locks {
    store: Store,
    tasks: Tasks,
    metrics: Metrics,
}

/// A lock that is held, until it is released, dropped or lost.
///
/// Dropped, it is not renewed any more and ends with its lease.
#[must_use = "a lock that is dropped is not renewed"]
pub struct Guard {
    lock: Locks,
    key: String,
    token: String,
    fence: Option<u64>,
    lease: Arc<Lease>,
    /// Ends the renewal.
    renewed: DropGuard,
}

impl Locks {
    /// Locks that stand in `store`; `tasks` renew them.
    pub fn new(store: Store, tasks: Tasks, metrics: Metrics) -> Self {
        Self { store, tasks, metrics }
    }

    /// Takes the lock `name` of one thing, which `of` names, for `lease`; `None` when somebody holds it.
    ///
    /// It is renewed for as long as the guard lives.
    ///
    /// # Errors
    /// When the store is away, slow or refuses: nobody knows who holds it.
    pub async fn try_acquire(
        &self,
        name: &'static str,
        of: &str,
        lease: Duration,
    ) -> Result<Option<Guard>, StoreError> {
        let key = format!("lock:{name}:{of}");
        let token = Uuid::now_v7().simple().to_string();
        // Taken before the server is asked, whose own count begins later.
        let until = Instant::now() + lease;
        let answer = self.store.set_if_absent(&key, token.as_bytes(), lease).await;
        let outcome = match &answer {
            Ok(true) => "acquired",
            Ok(false) => "taken",
            Err(_) => "error",
        };
        self.metrics.lock(name, outcome);
        Ok(answer?.then(|| self.guard(name, key, token, lease, until)))
    }

    fn guard(&self, name: &'static str, key: String, token: String, lease: Duration, until: Instant) -> Guard {
        let renewed = CancellationToken::new();
        let held = Arc::new(Lease {
            name,
            metrics: self.metrics.clone(),
            until: Mutex::new(until),
            lost: CancellationToken::new(),
            is_told: AtomicBool::new(false),
        });
        let renewal = Renewal {
            store: self.store.clone(),
            key: key.clone(),
            token: token.clone(),
            length: lease,
            lease: Arc::clone(&held),
        };
        let ended = renewed.clone();
        self.tasks.spawn("lock renewal", async move {
            ended.run_until_cancelled(renewal.run()).await;
        });
        Guard {
            lock: self.clone(),
            key,
            token,
            fence: None,
            lease: held,
            renewed: renewed.drop_guard(),
        }
    }
}

impl Guard {
    /// Keeps the fencing number that the database gave for this holding.
    pub fn fenced(mut self, number: u64) -> Self {
        self.fence = Some(number);
        self
    }

    /// The fencing number, for the statements that write.
    pub fn fence(&self) -> Option<u64> {
        self.fence
    }

    /// Cancelled when the lock is lost: somebody else may hold it, or will in a moment.
    pub fn lost(&self) -> &CancellationToken {
        &self.lease.lost
    }

    /// Gives the lock up, for the next one to take it at once. Where that fails, its lease ends it.
    ///
    /// When the lease is over already, the lock counts as lost, even if the renewal has not noticed yet.
    pub async fn release(self) {
        // First: a renewal in between would take it for lost.
        drop(self.renewed);
        if self.lease.is_over() {
            self.lease.lose();
            return;
        }
        let released = self
            .lock
            .store
            .compare_and_delete(&self.key, self.token.as_bytes())
            .await;
        if let Err(error) = released {
            tracing::debug!(%error, "a lock could not be released and ends with its lease");
        }
    }
}

/// How long one lock is held, and whether it was lost.
struct Lease {
    name: &'static str,
    metrics: Metrics,
    until: Mutex<Instant>,
    lost: CancellationToken,
    is_told: AtomicBool,
}

impl Lease {
    fn is_over(&self) -> bool {
        Instant::now() >= *self.until.lock()
    }

    /// Tells of the loss, once.
    fn lose(&self) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.metrics.lock(self.name, "lost");
            tracing::warn!(lock = self.name, "a lock was lost before its work was done");
        }
        self.lost.cancel();
    }
}

/// What keeps one lock held.
struct Renewal {
    store: Store,
    key: String,
    token: String,
    length: Duration,
    lease: Arc<Lease>,
}

impl Renewal {
    async fn run(self) {
        while self.renew().await {}
        self.lease.lose();
    }

    /// Waits for a third of the lease, then extends it; says whether the lock is still held.
    async fn renew(&self) -> bool {
        let until = *self.lease.until.lock();
        sleep_until(until.min(Instant::now() + self.length / RENEWALS)).await;
        let asked = Instant::now();
        if asked >= until {
            return false;
        }
        let extended = self
            .store
            .compare_and_extend(&self.key, self.token.as_bytes(), self.length);
        match timeout_at(until, extended).await {
            Ok(Ok(true)) => {
                *self.lease.until.lock() = asked + self.length;
                true
            }
            // The store is away; the lease goes on, here as there.
            Ok(Err(_)) => true,
            Ok(Ok(false)) | Err(_) => false,
        }
    }
}
