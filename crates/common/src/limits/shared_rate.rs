//! One rate that all replicas keep together: what a provider's contract allows us.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::Verdict;
use super::held::{Held, Step};
use crate::Timestamp;
use crate::resilience::{Drawn, Quota, micros};
use crate::store::Store;

/// A rate that all replicas keep together, whoever of them makes the calls.
///
/// Turns are given out by the store, one by one. While it is away each replica keeps the rate for itself alone, from what
/// it knew last: then there may be as many times the rate as there are replicas, and nothing stands still.
pub struct SharedRate {
    quota: Quota,
    key: String,
    store: Store,
    held: Mutex<Held>,
    began: (Instant, i64),
    /// How far the store's clock is ahead of ours.
    ahead: AtomicI64,
}

impl SharedRate {
    /// The rate called `name`, kept in `store`.
    pub fn new(name: &str, quota: Quota, store: Store) -> Self {
        Self {
            quota,
            key: format!("rate:{name}"),
            store,
            held: Mutex::default(),
            began: (Instant::now(), Timestamp::now().as_micros()),
            ahead: AtomicI64::new(0),
        }
    }

    /// Takes the next turn, and says when it is: now, after a wait that the caller makes, or not before the queue is
    /// shorter. Waits for nothing but the store, and for that no longer than for any command.
    ///
    /// # Cancel safety
    /// Dropped while the store is asked, the turn may be used up.
    pub async fn turn(&self) -> Verdict {
        let asked = self.clock();
        let step = self.held.lock().step(self.quota, asked + self.ahead(), 1);
        let known = match step {
            Step::Pass => return Verdict::Pass,
            Step::Refuse { until } => return Verdict::Refuse(micros(until - asked - self.ahead())),
            Step::Draw { known, .. } => known,
        };
        let answer = self.store.draw(&self.key, self.quota, 1, known).await;
        let mut held = self.held.lock();
        let drawn = if let Ok(drawn) = answer {
            self.ahead.store(drawn.now - asked, Ordering::Relaxed);
            held.keep(self.quota, &drawn);
            drawn
        } else {
            held.draw_alone(self.quota, self.clock() + self.ahead())
        };
        verdict(self.quota, &drawn)
    }

    fn clock(&self) -> i64 {
        let (began, at) = self.began;
        at + i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }

    fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }
}

/// What a draw means for the request that asked for it.
pub(super) fn verdict(quota: Quota, drawn: &Drawn) -> Verdict {
    if drawn.granted == 0 {
        return Verdict::Refuse(micros(quota.next(drawn.arrival) - drawn.now));
    }
    let wait = quota.wait(drawn);
    if wait.is_zero() {
        Verdict::Pass
    } else {
        Verdict::Wait(wait)
    }
}
