//! Keeps the slots filled: dials what is missing, and asks after what stands.
//!
//! A connection goes when its node does not answer, has become a replica, or the sentinels name another
//! master. So after a failover nothing is read from the former master for longer than a second.

use std::{
    mem::{Discriminant, discriminant},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    dialer::{DialError, Dialled},
    slots::{Home, Slot, Slots, Standing},
};
use crate::{
    process::chain,
    resilience::{BreakerState, Verdict},
};

/// Pause between two tries to dial a server that is away.
const REDIAL_EVERY: Duration = Duration::from_millis(100);
/// How often a connection that nobody uses is asked whether it still stands.
const PING_EVERY: Duration = Duration::from_secs(1);

/// What was said of an absence; each reason is told once.
type Told = Vec<Discriminant<DialError>>;

impl Slots {
    /// Keeps every slot filled until `stopping`.
    pub(super) async fn keep_connected(self, stopping: CancellationToken) {
        let mut told = Told::new();
        loop {
            let dialled = tokio::select! {
                () = stopping.cancelled() => return,
                dialled = self.dial_missing() => dialled,
            };
            tell(&dialled, &mut told);
            let is_a_cluster = matches!(dialled, Err(DialError::Cluster));
            self.0.is_a_cluster.store(is_a_cluster, Ordering::Relaxed);
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.pause(dialled.is_ok()) => {}
            }
        }
    }

    /// Waits for a reason to look again, a doubt or the time, and asks every connection whether it still stands.
    async fn pause(&self, whole: bool) {
        if !whole {
            tokio::time::sleep(REDIAL_EVERY).await;
            return self.check_all().await;
        }
        tokio::select! {
            () = self.0.doubted.notified() => self.check_all().await,
            () = tokio::time::sleep(PING_EVERY) => {
                self.check_all().await;
                self.leave_the_deposed().await;
            }
        }
    }

    async fn dial_missing(&self) -> Result<(), DialError> {
        for slot in &self.0.slots {
            if slot.get().is_some() {
                continue;
            }
            let Some(dialled) = self.dial(slot).await? else {
                continue;
            };
            slot.fill(Standing {
                generation: self.0.generation.fetch_add(1, Ordering::Relaxed),
                connection: dialled.connection,
                node: dialled.node,
            });
            self.0.stands.notify_waiters();
        }
        Ok(())
    }

    /// Dials for a slot, on the runtime that is to drive the connection; `None` when that is nobody's.
    async fn dial(&self, slot: &Slot) -> Result<Option<Dialled>, DialError> {
        let home = match slot.home() {
            Home::Nobody => return Ok(None),
            Home::Shared => return self.0.dialer.connection().await.map(Some),
            Home::Of(home) => home,
        };
        let dialer = self.0.dialer.clone();
        let dialled = AbortOnDropHandle::new(home.spawn(async move { dialer.connection().await }));
        let Ok(dialled) = dialled.await else {
            // The thread has ended.
            slot.settle(Home::Nobody);
            return Ok(None);
        };
        // A busy thread has no time to dial, which says nothing of the store; it is asked again in a second.
        Ok(dialled.ok())
    }

    /// At once, so that a server that hangs is found out in the time of one answer.
    async fn check_all(&self) {
        join_all(self.0.slots.iter().map(|slot| self.check(slot))).await;
    }

    async fn check(&self, slot: &Slot) {
        let Some(mut standing) = slot.get() else {
            return;
        };
        if self.0.dialer.check(&mut standing.connection).await.is_err() {
            slot.discard(standing.generation);
            self.note_away();
        } else if self.breaker() == BreakerState::HalfOpen
            && let Ok(permit) = self.0.breaker.admit(Instant::now())
        {
            // Without commands nobody else would find out that the server is well again.
            permit.report(Verdict::Success, Instant::now());
        }
    }

    /// Drops connections to a node that is the master by its own word alone.
    async fn leave_the_deposed(&self) {
        let Some(standing) = self.0.slots.iter().find_map(Slot::get) else {
            return;
        };
        if !self.0.dialer.is_deposed(&standing.node).await {
            return;
        }
        for slot in &self.0.slots {
            if let Some(other) = slot.get()
                && other.node == standing.node
            {
                slot.discard(other.generation);
            }
        }
        self.note_away();
    }
}

/// Says in the log that the store went away, why, and that it is back.
fn tell(dialled: &Result<(), DialError>, told: &mut Told) {
    match dialled {
        Ok(()) if told.is_empty() => {}
        Ok(()) => {
            told.clear();
            tracing::info!("the store is back");
        }
        Err(error) => {
            let kind = discriminant(error);
            if !told.contains(&kind) {
                told.push(kind);
                tracing::warn!(reason = chain(error), "the store is away; reads go to the database");
            }
        }
    }
}
