//! Deletes sessions that nobody has used for very long, in batches, by one replica at a time.
//!
//! The lock saves work: one replica sweeps, not all. The database makes sure that only the present holder deletes a batch:
//! it compares fencing numbers. While the store is away there is no lock, and the numbers suffice: the replica that took
//! the last number sweeps.

use std::time::Duration;

use common::{
    Timestamp,
    messaging::Changes,
    process::{Tasks, chain},
    store::{Guard, Locks},
    telemetry::Metrics,
};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::{
    settings::Sessions,
    tables::{fences, sessions},
};

/// The lock's name and the fence's.
const SWEEP: &str = "session-sweep";
/// A holder that died or hangs is replaced after this.
const LEASE: Duration = Duration::from_secs(3);
/// Sessions that one transaction deletes: it takes some milliseconds.
const BATCH: u64 = 200;

/// The sweep of expired sessions.
pub(crate) struct Sweep {
    pub(crate) changes: Changes,
    pub(crate) locks: Locks,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Sessions,
}

/// How a sweep ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to delete, or the service is stopping.
    Done,
    /// Another replica sweeps.
    Taken,
    /// Another replica has taken over: this one was paused for longer than its lease.
    Lost,
}

impl Sweep {
    pub(crate) fn new(changes: Changes, locks: Locks, metrics: Metrics, settings: Sessions) -> Self {
        Self {
            changes,
            locks,
            metrics,
            settings,
        }
    }

    /// Sweeps again and again, for as long as the service lives.
    pub(crate) fn spawn(self, tasks: &Tasks) {
        self.metrics.sweeps(SWEEP);
        let stopping = tasks.stopping().clone();
        tasks.spawn("session sweep", async move {
            while stopping.run_until_cancelled(self.pause()).await.is_some() {
                match self.run(&stopping).await {
                    Ok(Ended::Lost) => tracing::warn!("a sweep of expired sessions was taken over by another replica"),
                    Ok(Ended::Done | Ended::Taken) => {}
                    Err(error) => tracing::warn!(error = chain(&error), "expired sessions can't be deleted"),
                }
            }
        });
    }

    /// Waits for `sweep_every`, a quarter more or less, so that replicas that started together do not ask together.
    async fn pause(&self) {
        tokio::time::sleep(self.settings.sweep_every.mul_f64(rand::random_range(0.75..1.25))).await;
    }

    /// Deletes what has expired by now, batch by batch, unless another replica does. Ends after a batch when `stopping`.
    pub(crate) async fn run(&self, stopping: &CancellationToken) -> Result<Ended, DbErr> {
        let guard = match self.locks.try_acquire(SWEEP, "all", LEASE).await {
            Ok(Some(guard)) => Some(guard),
            Ok(None) => return Ok(Ended::Taken),
            Err(_) => None,
        };
        // After the lock: the next holder's number is higher.
        let number = self.next_number().await?;
        let guard = guard.map(|guard| guard.fenced(number));
        let ended = self.sweep(guard.as_ref(), number, stopping).await;
        if let Some(guard) = guard {
            guard.release().await;
        }
        ended
    }

    async fn sweep(&self, guard: Option<&Guard>, number: u64, stopping: &CancellationToken) -> Result<Ended, DbErr> {
        let before = Timestamp::now() - self.settings.lifetime;
        loop {
            if guard.is_some_and(|guard| guard.lost().is_cancelled()) {
                return Ok(Ended::Lost);
            }
            match self.delete_batch(number, before).await? {
                None => return Ok(Ended::Lost),
                Some(deleted) if deleted < BATCH => return Ok(Ended::Done),
                Some(_) if stopping.is_cancelled() => return Ok(Ended::Done),
                Some(_) => {}
            }
        }
    }

    async fn next_number(&self) -> Result<u64, DbErr> {
        let change = self.changes.begin().await?;
        let number = fences::raise(change.tx(), SWEEP).await?;
        change.commit().await?;
        Ok(number)
    }

    /// Deletes one batch and says how many sessions it had; `None` when `number` is no longer the highest.
    pub(crate) async fn delete_batch(&self, number: u64, before: Timestamp) -> Result<Option<u64>, DbErr> {
        let change = self.changes.begin().await?;
        if !fences::is_highest(change.tx(), SWEEP, number).await? {
            change.roll_back().await;
            self.metrics.sessions_swept("fenced", 1);
            return Ok(None);
        }
        let deleted = sessions::delete_unused(change.tx(), before, BATCH).await?;
        change.commit().await?;
        self.metrics.sessions_swept("deleted", deleted);
        Ok(Some(deleted))
    }
}
