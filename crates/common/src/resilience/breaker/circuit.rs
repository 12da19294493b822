//! Whether a destination is worth a call, judged by how the last ones went.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::options::BreakerOptions;
use super::view::{BreakerMode, BreakerState, BreakerView, Transition};
use super::window::{Call, Counted, Window};
use crate::resilience::backoff::Backoff;

/// When it is worth asking again while probes are under way.
const PROBING: Duration = Duration::from_millis(500);
/// When it is worth asking again while it is forced open: somebody may end that at any moment, and would see it work.
const FORCED: Duration = Duration::from_secs(5);
/// One's own failures that are enough to open once another replica's breaker is known to be open.
const FAILURES_WITH_HINT: usize = 2;

/// How a call ended, as the destination's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered as a healthy destination does (a 404 is such an answer).
    Success,
    /// It failed.
    Failure,
}

/// The breaker is open: the call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// When it is worth asking again.
    pub retry_after: Duration,
}

/// Who is told of a transition: once each, outside of the lock.
type Watch = Box<dyn Fn(Transition) + Send + Sync>;

/// Stops calls to a destination that fails or is slow, and probes it until it is well.
///
/// The pattern is Nygard's ("Release It!"); rates over a window, slow calls and modes are as resilience4j has them.
pub struct Breaker {
    options: BreakerOptions,
    jitter: fn() -> f64,
    watch: Watch,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Grows with each change of phase; a result of an older one decides nothing.
    generation: u64,
    phase: Phase,
    /// The calls while it is closed.
    window: Window,
    /// The calls that counted when it opened last.
    opened_on: Counted,
    /// How often it opened without a calm between.
    openings: u32,
    mode: BreakerMode,
    mode_ends: Option<Instant>,
    /// Until then it is known that another replica's breaker is open.
    hinted_until: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Closed {
        since: Instant,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        probes: Vec<Probe>,
        passed: usize,
        next: u64,
    },
}

#[derive(Debug)]
struct Probe {
    number: u64,
    deadline: Instant,
}

/// Leave to make one call. Report how it ended, or release it when it was not made after all.
///
/// Dropped without either, the caller went away in the middle: that says nothing of the destination, and counts as if the
/// call had not been made.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    began: Instant,
    /// How long the call took, where that is not the time since it was admitted.
    took: Option<Duration>,
    probe: Option<u64>,
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
            inner: Mutex::new(Inner {
                generation: 0,
                phase: Phase::Closed { since: now },
                window: Window::with_room(options.window_calls),
                opened_on: Counted::default(),
                openings: 0,
                mode: BreakerMode::On,
                mode_ends: None,
                hinted_until: None,
            }),
            options,
            jitter,
            watch,
        })
    }

    /// Asks whether a call may be made.
    ///
    /// # Errors
    /// [`Rejected`] when the breaker is open, or half-open with all its probes under way.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Rejected> {
        self.with(now, |inner| {
            if inner.mode == BreakerMode::ForcedOpen {
                return Err(Rejected {
                    retry_after: inner.forced_wait(now),
                });
            }
            let probe = match inner.mode {
                // Nothing is counted: a probe would be one for ever.
                BreakerMode::ForcedClosed => None,
                _ => match self.take_probe(inner, now) {
                    Ok(probe) => probe,
                    Err(_) if inner.mode != BreakerMode::On => None,
                    Err(retry_after) => return Err(Rejected { retry_after }),
                },
            };
            Ok(Permit {
                breaker: Arc::clone(self),
                generation: inner.generation,
                began: now,
                took: None,
                probe,
                settled: false,
            })
        })
    }

    /// Lets probes through at once, where it is open by itself: whoever asks next finds out.
    pub fn probe(&self, now: Instant) {
        self.with(now, |inner| {
            if inner.mode == BreakerMode::On
                && let Phase::Open { until } = &mut inner.phase
            {
                *until = now;
                self.advance(inner, now);
            }
        });
    }

    /// The state at this moment; an open one whose time is over is half-open.
    pub fn state(&self, now: Instant) -> BreakerState {
        self.with(now, |inner| inner.state())
    }

    /// How long it surely lets no call pass; `None` when it may let one pass now.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        self.with(now, |inner| match (inner.mode, &inner.phase) {
            (BreakerMode::ForcedOpen, _) => Some(inner.forced_wait(now)),
            (BreakerMode::On, Phase::Open { until }) => Some(until.saturating_duration_since(now)),
            _ => None,
        })
    }

    /// All that an operator wants to know of it.
    pub fn view(&self, now: Instant) -> BreakerView {
        self.with(now, |inner| BreakerView {
            state: inner.state(),
            mode: inner.mode,
            mode_ends_in: inner.mode_ends.map(|ends| ends.saturating_duration_since(now)),
            counted: inner.window.counted(),
        })
    }

    /// Has it decide or not, until the mode is set again or for a time. What it saw before stays.
    pub fn set_mode(&self, mode: BreakerMode, lasts: Option<Duration>, now: Instant) {
        self.with(now, |inner| {
            inner.mode = mode;
            inner.mode_ends = lasts.map(|lasts| now + lasts).filter(|_| mode != BreakerMode::On);
        });
    }

    /// Whether somebody has it let everything pass.
    pub fn is_forced_closed(&self, now: Instant) -> bool {
        self.with(now, |inner| inner.mode == BreakerMode::ForcedClosed)
    }

    /// Whether it is worth asking if another replica's breaker is open: this one is closed, it saw a failure, and
    /// it does not know.
    pub fn wants_hint(&self, now: Instant) -> bool {
        self.with(now, |inner| {
            let is_closed = matches!(inner.phase, Phase::Closed { .. });
            is_closed && inner.window.counted().failed > 0 && !inner.is_hinted(now)
        })
    }

    /// Takes note that another replica's breaker is open: for `lasts`, two failures of one's own are enough to open.
    pub fn hint(&self, lasts: Duration, now: Instant) {
        self.with(now, |inner| {
            inner.hinted_until = Some(now + lasts);
            if matches!(inner.phase, Phase::Closed { .. }) && inner.window.counted().failed >= FAILURES_WITH_HINT {
                self.open(inner, now);
            }
        });
    }

    /// Runs `step` on what it knows at `now`, and tells of the transition that came of it, if one did.
    fn with<T>(&self, now: Instant, step: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let before = inner.generation;
        self.advance(&mut inner, now);
        let answer = step(&mut inner);
        if inner.generation == before {
            return answer;
        }
        let transition = Transition {
            to: inner.phase.state(),
            open_for: match inner.phase {
                Phase::Open { until } => Some(until.saturating_duration_since(now)),
                Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
            },
            counted: inner.opened_on,
        };
        drop(inner);
        (self.watch)(transition);
        answer
    }

    /// Which probe a call is, `None` while it is closed; or when to ask again.
    fn take_probe(&self, inner: &mut Inner, now: Instant) -> Result<Option<u64>, Duration> {
        match &mut inner.phase {
            Phase::Closed { .. } => Ok(None),
            Phase::Open { until } => Err(until.saturating_duration_since(now)),
            Phase::HalfOpen { probes, passed, next } => {
                if probes.len() + *passed < self.options.probes.max(1) {
                    *next += 1;
                    probes.push(Probe {
                        number: *next,
                        deadline: now + self.options.probe_deadline,
                    });
                    return Ok(Some(*next));
                }
                // The probes may be back at any moment, long before their deadline.
                let first = probes.iter().map(|probe| probe.deadline).min().unwrap_or(now);
                Err(first.saturating_duration_since(now).min(PROBING))
            }
        }
    }

    /// Does what time alone does: a mode ends, open becomes half-open, a probe past its deadline has failed, calm forgives.
    fn advance(&self, inner: &mut Inner, now: Instant) {
        if inner.mode_ends.is_some_and(|ends| ends <= now) {
            (inner.mode, inner.mode_ends) = (BreakerMode::On, None);
        }
        match &mut inner.phase {
            Phase::Closed { since, .. } => {
                if now.saturating_duration_since(*since) >= self.options.calm {
                    inner.openings = 0;
                }
            }
            Phase::Open { until } if *until <= now => {
                inner.generation += 1;
                inner.phase = Phase::HalfOpen {
                    probes: Vec::with_capacity(self.options.probes.max(1)),
                    passed: 0,
                    next: 0,
                };
            }
            Phase::HalfOpen { probes, .. } if probes.iter().any(|probe| probe.deadline <= now) => {
                self.open(inner, now);
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    fn open(&self, inner: &mut Inner, now: Instant) {
        // Up to a fifth longer, so that replicas do not probe at the same moment.
        let waits = Backoff::doubling(self.options.open_first, self.options.open_limit);
        let wait = waits.step(inner.openings).mul_f64(1.0 + (self.jitter)() / 5.0);
        inner.openings = inner.openings.saturating_add(1);
        inner.generation += 1;
        inner.phase = Phase::Open { until: now + wait };
        inner.opened_on = inner.window.counted();
        inner.window.clear();
    }

    /// Takes in how a call ended; `None`: it was not made, or not to its end.
    fn settle(&self, permit: &Permit, verdict: Option<Verdict>, now: Instant) {
        self.with(now, |inner| {
            if permit.generation != inner.generation {
                return;
            }
            if let Phase::HalfOpen { probes, .. } = &mut inner.phase {
                probes.retain(|probe| Some(probe.number) != permit.probe);
            }
            if inner.mode == BreakerMode::ForcedClosed {
                return;
            }
            let took = permit
                .took
                .unwrap_or_else(|| now.saturating_duration_since(permit.began));
            let slow = took >= self.options.slow_call;
            let is_hinted = inner.is_hinted(now);
            match (&mut inner.phase, verdict) {
                (Phase::Closed { .. }, Some(verdict)) => {
                    let failed = verdict == Verdict::Failure;
                    inner.window.add(Call { at: now, failed, slow }, &self.options);
                    let fails_as_elsewhere = is_hinted && inner.window.counted().failed >= FAILURES_WITH_HINT;
                    if fails_as_elsewhere || inner.window.asks_to_open(&self.options) {
                        self.open(inner, now);
                    }
                }
                (Phase::HalfOpen { passed, .. }, Some(Verdict::Success)) if !slow => {
                    *passed += 1;
                    if *passed >= self.options.probes.max(1) {
                        inner.generation += 1;
                        inner.phase = Phase::Closed { since: now };
                    }
                }
                (Phase::HalfOpen { .. }, Some(_)) => self.open(inner, now),
                (_, None) | (Phase::Open { .. }, _) => {}
            }
        });
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> BreakerState {
        match self.mode {
            BreakerMode::ForcedOpen => BreakerState::Open,
            BreakerMode::ForcedClosed => BreakerState::Closed,
            BreakerMode::On | BreakerMode::MetricsOnly => self.phase.state(),
        }
    }

    /// When to ask again while it is forced open: at the end of that, or before.
    fn forced_wait(&self, now: Instant) -> Duration {
        let ends = self.mode_ends.map(|ends| ends.saturating_duration_since(now));
        ends.map_or(FORCED, |left| left.min(FORCED))
    }

    fn is_hinted(&self, now: Instant) -> bool {
        self.hinted_until.is_some_and(|until| now < until)
    }
}

impl Phase {
    const fn state(&self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::Open { .. } => BreakerState::Open,
        }
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
        self.settled = true;
        self.breaker.settle(&self, Some(verdict), now);
    }

    /// Gives the permit back: the call was not made.
    pub fn release(mut self, now: Instant) {
        self.settled = true;
        self.breaker.settle(&self, None, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.settle(self, None, Instant::now());
        }
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
