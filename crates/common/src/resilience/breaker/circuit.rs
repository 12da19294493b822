//! A breaker as those who call see it: leave to make a call is a permit, which is settled once.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::machine::{Admission, Ended, Machine, Rejected, Verdict};
use super::options::BreakerOptions;
use super::view::{BreakerMode, BreakerState, BreakerView, Transition};

/// Who is told of a transition: once each, outside of the lock.
type Watch = Box<dyn Fn(Transition) + Send + Sync>;

/// Stops calls to a destination that fails or is slow, and probes it until it is well.
///
/// The pattern is Nygard's ("Release It!"); rates over a window, slow calls and modes are as resilience4j has them.
pub struct Breaker {
    watch: Watch,
    machine: Mutex<Machine>,
}

/// Leave to make one call. Report how it ended, or release it when it was not made after all.
///
/// Dropped without either, the caller went away in the middle: that says nothing of the destination, and counts as if the
/// call had not been made.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    breaker: Arc<Breaker>,
    admission: Admission,
    began: Instant,
    /// How long the call took, where that is not the time since it was admitted.
    took: Option<Duration>,
    settled: bool,
}

impl Breaker {
    /// Makes a closed breaker.
    pub fn new(options: BreakerOptions, now: Instant) -> Arc<Self> {
        Self::watched(options, now, |_| {})
    }

    /// Makes a closed breaker that tells `watch` of each change of its state, once.
    pub fn watched(
        options: BreakerOptions,
        now: Instant,
        watch: impl Fn(Transition) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::with_jitter(options, now, Box::new(watch), rand::random::<f64>)
    }

    pub(super) fn with_jitter(options: BreakerOptions, now: Instant, watch: Watch, jitter: fn() -> f64) -> Arc<Self> {
        Arc::new(Self {
            watch,
            machine: Mutex::new(Machine::new(options, now, jitter)),
        })
    }

    /// Asks whether a call may be made.
    ///
    /// # Errors
    /// [`Rejected`] when the breaker is open, or half-open with all its probes under way.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Rejected> {
        let admission = self.with(now, |machine| machine.admit(now))?;
        Ok(Permit {
            breaker: Arc::clone(self),
            admission,
            began: now,
            took: None,
            settled: false,
        })
    }

    /// Makes it half-open at once when it is open by its own judgement (not by a mode): the next calls are its probes.
    pub fn probe(&self, now: Instant) {
        self.with(now, |machine| machine.probe(now));
    }

    /// The state at this moment; an open one whose time is over is half-open.
    pub fn state(&self, now: Instant) -> BreakerState {
        self.with(now, |machine| machine.state())
    }

    /// How long it surely lets no call pass; `None` when it may let one pass now.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        self.with(now, |machine| machine.open_for(now))
    }

    /// All that an operator wants to know of it.
    pub fn view(&self, now: Instant) -> BreakerView {
        self.with(now, |machine| machine.view(now))
    }

    /// Sets the mode: for the time `lasts`, or until it is set again when that is `None`. What it saw before stays.
    pub fn set_mode(&self, mode: BreakerMode, lasts: Option<Duration>, now: Instant) {
        self.with(now, |machine| machine.set_mode(mode, lasts.map(|lasts| now + lasts)));
    }

    /// Whether somebody has it let everything pass.
    pub fn is_forced_closed(&self, now: Instant) -> bool {
        self.with(now, |machine| machine.mode() == BreakerMode::ForcedClosed)
    }

    /// Whether it is worth asking if another replica's breaker is open: this one is closed, it saw a failure, and
    /// it does not know.
    pub fn wants_hint(&self, now: Instant) -> bool {
        self.with(now, |machine| machine.wants_hint(now))
    }

    /// Takes note that another replica's breaker is open: for `lasts`, two failures of one's own are enough to open.
    pub fn hint(&self, lasts: Duration, now: Instant) {
        self.with(now, |machine| machine.hint(now + lasts, now));
    }

    /// Runs `step` on the machine at `now`, and tells of the transition that came of it, if one did.
    fn with<T>(&self, now: Instant, step: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine.lock();
        let before = machine.generation();
        machine.advance(now);
        let answer = step(&mut machine);
        if machine.generation() == before {
            return answer;
        }
        let transition = machine.transition(now);
        drop(machine);
        (self.watch)(transition);
        answer
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl Permit {
    /// The same with the time that the call itself took, where it had to wait for a turn after it was admitted.
    pub fn that_took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    /// Says how the call ended.
    pub fn report(mut self, verdict: Verdict, now: Instant) {
        let took = self.took.unwrap_or_else(|| now.saturating_duration_since(self.began));
        self.settle(Some(Ended { verdict, took }), now);
    }

    /// Gives the permit back: the call was not made.
    pub fn release(mut self, now: Instant) {
        self.settle(None, now);
    }

    fn settle(&mut self, ended: Option<Ended>, now: Instant) {
        self.settled = true;
        self.breaker
            .with(now, |machine| machine.settle(self.admission, ended, now));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(None, Instant::now());
        }
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
