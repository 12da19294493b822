//! Keeps the slots filled: dials what is missing, and asks after what stands.
//!
//! A connection is dropped when its node does not answer, has become a replica, or the sentinels name another
//! master. So after a failover nothing is read from the former master for much longer than a second.

use std::{
    collections::BTreeSet,
    mem::{Discriminant, discriminant},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::time::{sleep, sleep_until, timeout};
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
/// How often each connection is asked whether it still stands, and the sentinels who the master is.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long a thread may take to dial for itself.
const OWN_DIAL: Duration = Duration::from_secs(1);

/// What was said of an absence; each reason is told once.
type Told = Vec<(Discriminant<DialError>, Option<&'static str>)>;

impl Slots {
    /// Keeps every slot filled until `stopping`.
    pub(super) async fn keep_connected(self, stopping: CancellationToken) {
        let mut told = Told::new();
        let mut look_at = Instant::now() + PING_EVERY;
        loop {
            let dialled = tokio::select! {
                () = stopping.cancelled() => return,
                dialled = self.dial_missing() => dialled,
            };
            tell(&dialled, &mut told);
            self.note_cure(dialled.as_ref().err().and_then(DialError::cure));
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.pause(dialled.is_ok(), &mut look_at) => {}
            }
        }
    }

    /// Waits for a reason to look again, a doubt or the time, and asks every connection whether it still stands.
    ///
    /// Whether the node was deposed is asked once a second, however often there is a doubt.
    async fn pause(&self, whole: bool, look_at: &mut Instant) {
        if whole {
            tokio::select! {
                () = self.0.doubted.notified() => {}
                () = sleep_until((*look_at).into()) => {}
            }
        } else {
            sleep(REDIAL_EVERY).await;
        }
        self.check_all().await;
        if Instant::now() >= *look_at {
            self.leave_the_deposed().await;
            *look_at = Instant::now() + PING_EVERY;
        }
    }

    /// Fills the slots that all share, and then those of threads, at once.
    async fn dial_missing(&self) -> Result<(), DialError> {
        let (shared, own): (Vec<_>, Vec<_>) = self
            .0
            .slots
            .iter()
            .filter(|slot| slot.get().is_none())
            .partition(|slot| slot.is_shared());
        for slot in shared {
            self.fill(slot, self.0.dialer.connection().await?);
        }
        join_all(own.into_iter().map(|slot| self.dial_own(slot))).await;
        Ok(())
    }

    fn fill(&self, slot: &Slot, dialled: Dialled) {
        slot.fill(Standing {
            generation: self.0.generation.fetch_add(1, Ordering::Relaxed),
            connection: dialled.connection,
            node: dialled.node,
        });
        self.0.stands.notify_waiters();
    }

    /// Dials for the thread that a slot belongs to, on its runtime, which is to drive the connection.
    ///
    /// A busy thread has no time for that, which says nothing of the store: it is asked again in a second.
    async fn dial_own(&self, slot: &Slot) {
        let Home::Of(home) = slot.home() else { return };
        let dialer = self.0.dialer.clone();
        let dialled = AbortOnDropHandle::new(home.spawn(async move { dialer.connection().await }));
        match timeout(OWN_DIAL, dialled).await {
            Ok(Ok(Ok(dialled))) => self.fill(slot, dialled),
            // The thread has ended.
            Ok(Err(_)) => slot.settle(Home::Nobody),
            Ok(Ok(Err(_))) | Err(_) => {}
        }
    }

    /// Checks all connections at once, so that a server that hangs is found out in the time of one answer.
    async fn check_all(&self) {
        join_all(self.0.slots.iter().map(|slot| self.check(slot))).await;
    }

    async fn check(&self, slot: &Slot) {
        let Some(mut standing) = slot.get() else {
            return;
        };
        if self.0.dialer.check(&mut standing.connection).await.is_err() {
            slot.discard(standing.generation);
            // A thread that is too busy to answer in time says nothing of the store.
            if slot.is_shared() {
                self.note_away();
            }
        } else if self.breaker_state() == BreakerState::HalfOpen
            && let Ok(permit) = self.0.breaker.admit(Instant::now())
        {
            // Without commands nobody else would find out that the server is well again.
            permit.report(Verdict::Success, Instant::now());
        }
    }

    /// Drops connections to a node that is the master by its own word alone.
    async fn leave_the_deposed(&self) {
        let standing = self.0.slots.iter().filter_map(Slot::get);
        // More than one, when a connection was dialled anew after a failover and others were not.
        let nodes: BTreeSet<_> = standing.map(|standing| standing.node).collect();
        for node in nodes {
            if !self.0.dialer.is_deposed(&node).await {
                continue;
            }
            for slot in &self.0.slots {
                if let Some(other) = slot.get()
                    && other.node == node
                {
                    slot.discard(other.generation);
                }
            }
            self.note_away();
        }
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
            let kind = (discriminant(error), error.cure());
            if !told.contains(&kind) {
                told.push(kind);
                tracing::warn!(
                    reason = chain(error),
                    cure = error.cure(),
                    "the store is away; reads go to the database"
                );
            }
        }
    }
}
