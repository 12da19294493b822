//! What a breaker knows and makes of it: its states, and the steps between them.
//!
//! It has no lock and tells nobody of its steps; [`Breaker`](super::Breaker) does both.

use std::time::{Duration, Instant};

use super::options::BreakerOptions;
use super::view::{BreakerMode, BreakerState, BreakerView, Transition};
use super::window::{Call, Counted, Window};
use crate::resilience::backoff::Backoff;

/// When it is worth asking again while probes are under way.
pub(super) const PROBING: Duration = Duration::from_millis(500);
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

/// The breaker lets no call pass now, so this one was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// When it is worth asking again.
    pub retry_after: Duration,
}

/// What a call was admitted under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    generation: u64,
    probe: Option<u64>,
}

/// A call that was made, to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// The state machine of one breaker.
#[derive(Debug)]
pub(super) struct Machine {
    options: BreakerOptions,
    jitter: fn() -> f64,
    /// Grows with each change of phase; a result of an older one decides nothing.
    generation: u64,
    phase: Phase,
    /// The calls while it is closed.
    window: Window,
    /// The calls that counted when it opened last.
    opened_on: Counted,
    /// How often it opened since the last calm.
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

impl Machine {
    /// A closed one.
    pub(super) fn new(options: BreakerOptions, now: Instant, jitter: fn() -> f64) -> Self {
        Self {
            options,
            jitter,
            generation: 0,
            phase: Phase::Closed { since: now },
            window: Window::with_room(options.window_calls),
            opened_on: Counted::default(),
            openings: 0,
            mode: BreakerMode::On,
            mode_ends: None,
            hinted_until: None,
        }
    }

    /// Changes with each change of phase.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The change that led to the present phase.
    pub(super) fn transition(&self, now: Instant) -> Transition {
        Transition {
            to: self.phase.state(),
            open_for: match self.phase {
                Phase::Open { until } => Some(until.saturating_duration_since(now)),
                Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
            },
            counted: self.opened_on,
        }
    }

    /// Does what time alone does: a mode ends, open becomes half-open, a probe past its deadline has failed, calm forgives,
    /// old calls count no more.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.mode_ends.is_some_and(|ends| ends <= now) {
            (self.mode, self.mode_ends) = (BreakerMode::On, None);
        }
        match &self.phase {
            Phase::Closed { since } => {
                if now.saturating_duration_since(*since) >= self.options.calm {
                    self.openings = 0;
                }
                self.window.let_go(now, &self.options);
            }
            Phase::Open { until } if *until <= now => {
                self.enter(Phase::HalfOpen {
                    probes: Vec::with_capacity(self.options.probes.max(1)),
                    passed: 0,
                    next: 0,
                });
            }
            Phase::HalfOpen { probes, .. } if probes.iter().any(|probe| probe.deadline <= now) => {
                self.open(now);
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    /// Whether a call may be made, and under what.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admission, Rejected> {
        let probe = match self.mode {
            BreakerMode::ForcedOpen => Err(self.forced_wait(now)),
            // Nothing is counted in this mode, so a probe would never end.
            BreakerMode::ForcedClosed => Ok(None),
            BreakerMode::MetricsOnly => Ok(self.take_probe(now).unwrap_or_default()),
            BreakerMode::On => self.take_probe(now),
        };
        let probe = probe.map_err(|retry_after| Rejected { retry_after })?;
        Ok(Admission {
            generation: self.generation,
            probe,
        })
    }

    /// Takes in how an admitted call ended; `None`: it was not made, or not to its end.
    pub(super) fn settle(&mut self, admission: Admission, ended: Option<Ended>, now: Instant) {
        if admission.generation != self.generation {
            return;
        }
        if let Phase::HalfOpen { probes, .. } = &mut self.phase {
            probes.retain(|probe| Some(probe.number) != admission.probe);
        }
        let Some(ended) = ended.filter(|_| self.mode != BreakerMode::ForcedClosed) else {
            return;
        };
        let failed = ended.verdict == Verdict::Failure;
        let slow = ended.took >= self.options.slow_call;
        match &mut self.phase {
            Phase::Closed { .. } => {
                self.window.add(Call { at: now, failed, slow }, &self.options);
                let fails_as_elsewhere = self.is_hinted(now) && self.fails_enough_for_a_hint();
                if fails_as_elsewhere || self.window.asks_to_open(&self.options) {
                    self.open(now);
                }
            }
            Phase::HalfOpen { passed, .. } if !failed && !slow => {
                *passed += 1;
                if *passed >= self.options.probes.max(1) {
                    self.enter(Phase::Closed { since: now });
                }
            }
            Phase::HalfOpen { .. } => self.open(now),
            Phase::Open { .. } => {}
        }
    }

    /// Lets probes through at once, where it is open by itself.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.mode == BreakerMode::On
            && let Phase::Open { until } = &mut self.phase
        {
            *until = now;
            self.advance(now);
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.mode {
            BreakerMode::ForcedOpen => BreakerState::Open,
            BreakerMode::ForcedClosed => BreakerState::Closed,
            BreakerMode::On | BreakerMode::MetricsOnly => self.phase.state(),
        }
    }

    /// How much longer no call passes at all; `None`: some do.
    pub(super) fn open_for(&self, now: Instant) -> Option<Duration> {
        match (self.mode, &self.phase) {
            (BreakerMode::ForcedOpen, _) => Some(self.forced_wait(now)),
            (BreakerMode::On, Phase::Open { until }) => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    pub(super) fn view(&self, now: Instant) -> BreakerView {
        BreakerView {
            state: self.state(),
            mode: self.mode,
            mode_ends_in: self.mode_ends.map(|ends| ends.saturating_duration_since(now)),
            counted: self.window.counted(),
        }
    }

    pub(super) const fn mode(&self) -> BreakerMode {
        self.mode
    }

    /// Sets the mode: until `ends`, or until it is set again when that is `None`.
    pub(super) fn set_mode(&mut self, mode: BreakerMode, ends: Option<Instant>) {
        self.mode = mode;
        self.mode_ends = ends.filter(|_| mode != BreakerMode::On);
    }

    /// Whether it saw a failure, decides nothing by it, and does not know whether another replica's breaker is open.
    pub(super) fn wants_hint(&self, now: Instant) -> bool {
        let is_closed = matches!(self.phase, Phase::Closed { .. });
        is_closed && self.window.counted().failed > 0 && !self.is_hinted(now)
    }

    /// Takes note that another replica's breaker is open.
    pub(super) fn hint(&mut self, until: Instant, now: Instant) {
        self.hinted_until = Some(until);
        if matches!(self.phase, Phase::Closed { .. }) && self.fails_enough_for_a_hint() {
            self.open(now);
        }
    }

    /// Which probe a call is, `None` while it is closed; or when to ask again.
    fn take_probe(&mut self, now: Instant) -> Result<Option<u64>, Duration> {
        match &mut self.phase {
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

    fn open(&mut self, now: Instant) {
        // Up to a fifth longer, so that replicas do not probe at the same moment.
        let waits = Backoff::doubling(self.options.open_first, self.options.open_limit);
        let wait = waits.step(self.openings).mul_f64(1.0 + (self.jitter)() / 5.0);
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open { until: now + wait });
        self.opened_on = self.window.counted();
        self.window.clear();
    }

    fn enter(&mut self, phase: Phase) {
        self.generation += 1;
        self.phase = phase;
    }

    /// When to ask again while it is forced open: at the end of that, or before.
    fn forced_wait(&self, now: Instant) -> Duration {
        let ends = self.mode_ends.map(|ends| ends.saturating_duration_since(now));
        ends.map_or(FORCED, |left| left.min(FORCED))
    }

    fn is_hinted(&self, now: Instant) -> bool {
        self.hinted_until.is_some_and(|until| now < until)
    }

    fn fails_enough_for_a_hint(&self) -> bool {
        self.window.counted().failed >= FAILURES_WITH_HINT
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
