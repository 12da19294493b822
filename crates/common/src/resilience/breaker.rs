//! Whether a destination is worth a call, judged by how the last ones went.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// When it is worth asking again while probes are under way.
const PROBING: Duration = Duration::from_millis(500);

/// When a breaker opens, and how it finds back.
#[derive(Debug, Clone, Copy)]
pub struct BreakerOptions {
    /// On, or overruled.
    pub mode: BreakerMode,
    /// The newest this many calls count ..
    pub window_calls: usize,
    /// .. when they are no older than this.
    pub window: Duration,
    /// With fewer calls in the window nothing is decided.
    pub minimum_calls: usize,
    /// Opens at this share of failures.
    pub failure_rate: f64,
    /// A call that takes longer is slow.
    pub slow_call: Duration,
    /// Opens at this share of slow calls.
    pub slow_call_rate: f64,
    /// First time open; doubles each time that the probes fail.
    pub open_first: Duration,
    /// Longest time open, before up to a fifth is added by chance.
    pub open_limit: Duration,
    /// Calls that half-open admits; all must pass.
    pub probes: usize,
    /// A probe that has not ended by then has failed.
    pub probe_deadline: Duration,
    /// After this long closed, the time open starts from the first again.
    pub calm: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            mode: BreakerMode::On,
            window_calls: 100,
            window: Duration::from_secs(30),
            minimum_calls: 5,
            failure_rate: 0.5,
            slow_call: Duration::from_secs(5),
            slow_call_rate: 0.8,
            open_first: Duration::from_secs(5),
            open_limit: Duration::from_mins(1),
            probes: 2,
            probe_deadline: Duration::from_secs(10),
            calm: Duration::from_mins(1),
        }
    }
}

/// Whether the breaker decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerMode {
    /// It decides.
    On,
    /// It counts and shows its state, but lets everything pass.
    MetricsOnly,
    /// Nothing passes.
    ForcedOpen,
    /// Everything passes and nothing is counted.
    ForcedClosed,
}

/// What is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// A few calls pass, to find out.
    HalfOpen,
    /// No call passes.
    Open,
}

impl BreakerState {
    /// As a gauge shows it: 0 closed, 1 half-open, 2 open.
    pub const fn level(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

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

/// Stops calls to a destination that fails or is slow, and probes it until it is well.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    jitter: fn() -> f64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Grows with each change of phase; a result of an older one decides nothing.
    generation: u64,
    phase: Phase,
    open_for: Duration,
}

#[derive(Debug)]
enum Phase {
    Closed {
        since: Instant,
        window: Window,
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
/// Dropped without either (the caller was cancelled in the middle), a probe counts as failed and
/// a call that had been slow already counts as slow.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    began: Instant,
    probe: Option<u64>,
    settled: bool,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Called(Verdict),
    Cancelled,
    NotMade,
}

impl Breaker {
    /// Makes a closed breaker.
    pub fn new(options: BreakerOptions, now: Instant) -> Arc<Self> {
        Self::with_jitter(options, now, rand::random::<f64>)
    }

    fn with_jitter(options: BreakerOptions, now: Instant, jitter: fn() -> f64) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                generation: 0,
                phase: Phase::Closed {
                    since: now,
                    window: Window::default(),
                },
                open_for: options.open_first,
            }),
            options,
            jitter,
        })
    }

    /// Asks whether a call may be made.
    ///
    /// # Errors
    /// [`Rejected`] when the breaker is open, or half-open with all its probes under way.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Rejected> {
        let mut inner = self.lock();
        if self.options.mode == BreakerMode::ForcedOpen {
            return Err(Rejected {
                retry_after: self.options.open_limit,
            });
        }
        self.advance(&mut inner, now);
        let answer = match &mut inner.phase {
            Phase::Closed { .. } => Ok(None),
            Phase::Open { until } => Err(until.saturating_duration_since(now)),
            Phase::HalfOpen { probes, passed, next } => {
                if probes.len() + *passed < self.options.probes.max(1) {
                    *next += 1;
                    probes.push(Probe {
                        number: *next,
                        deadline: now + self.options.probe_deadline,
                    });
                    Ok(Some(*next))
                } else {
                    // The probes may be back at any moment, long before their deadline.
                    let first = probes.iter().map(|probe| probe.deadline).min().unwrap_or(now);
                    Err(first.saturating_duration_since(now).min(PROBING))
                }
            }
        };
        let probe = match answer {
            Ok(probe) => probe,
            Err(_) if self.options.mode != BreakerMode::On => None,
            Err(retry_after) => return Err(Rejected { retry_after }),
        };
        Ok(Permit {
            breaker: Arc::clone(self),
            generation: inner.generation,
            began: now,
            probe,
            settled: false,
        })
    }

    /// The state at this moment; an open one whose time is over is half-open.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.options.mode {
            BreakerMode::ForcedOpen => return BreakerState::Open,
            BreakerMode::ForcedClosed => return BreakerState::Closed,
            BreakerMode::On | BreakerMode::MetricsOnly => {}
        }
        let mut inner = self.lock();
        self.advance(&mut inner, now);
        match inner.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Open { .. } => BreakerState::Open,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Does what time alone does: open becomes half-open, a probe past its deadline has failed, calm forgives.
    fn advance(&self, inner: &mut Inner, now: Instant) {
        match &mut inner.phase {
            Phase::Closed { since, .. } => {
                if now.saturating_duration_since(*since) >= self.options.calm {
                    inner.open_for = self.options.open_first;
                }
            }
            Phase::Open { until } if *until <= now => {
                inner.generation += 1;
                inner.phase = Phase::HalfOpen {
                    probes: Vec::new(),
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
        let wait = inner.open_for.mul_f64(1.0 + (self.jitter)() / 5.0);
        inner.open_for = (inner.open_for * 2).min(self.options.open_limit);
        inner.generation += 1;
        inner.phase = Phase::Open { until: now + wait };
    }

    fn settle(&self, permit: &Permit, end: End, now: Instant) {
        let mut inner = self.lock();
        self.advance(&mut inner, now);
        if permit.generation != inner.generation || self.options.mode == BreakerMode::ForcedClosed {
            return;
        }
        let slow = now.saturating_duration_since(permit.began) >= self.options.slow_call;
        match &mut inner.phase {
            Phase::Closed { window, .. } => {
                let failed = match end {
                    End::Called(verdict) => verdict == Verdict::Failure,
                    End::Cancelled if slow => true,
                    End::Cancelled | End::NotMade => return,
                };
                if window.add(Call { at: now, failed, slow }, &self.options) {
                    self.open(&mut inner, now);
                }
            }
            Phase::HalfOpen { probes, passed, .. } => {
                probes.retain(|probe| Some(probe.number) != permit.probe);
                match end {
                    End::NotMade => {}
                    End::Called(Verdict::Success) if !slow => {
                        *passed += 1;
                        if *passed >= self.options.probes.max(1) {
                            inner.generation += 1;
                            inner.phase = Phase::Closed {
                                since: now,
                                window: Window::default(),
                            };
                        }
                    }
                    End::Called(_) | End::Cancelled => self.open(&mut inner, now),
                }
            }
            Phase::Open { .. } => {}
        }
    }
}

impl Permit {
    /// Says how the call ended.
    pub fn report(mut self, verdict: Verdict, now: Instant) {
        self.settled = true;
        self.breaker.settle(&self, End::Called(verdict), now);
    }

    /// Gives the permit back: the call was not made.
    pub fn release(mut self, now: Instant) {
        self.settled = true;
        self.breaker.settle(&self, End::NotMade, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.settle(self, End::Cancelled, Instant::now());
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Call {
    at: Instant,
    failed: bool,
    slow: bool,
}

/// The newest calls, and how many of them failed or were slow.
#[derive(Debug, Default)]
struct Window {
    calls: VecDeque<Call>,
    failed: usize,
    slow: usize,
}

impl Window {
    /// Adds a call; true when the rates say that the breaker opens.
    fn add(&mut self, call: Call, options: &BreakerOptions) -> bool {
        self.calls.push_back(call);
        self.failed += usize::from(call.failed);
        self.slow += usize::from(call.slow);
        while let Some(oldest) = self.calls.front().copied() {
            let old = call.at.saturating_duration_since(oldest.at) > options.window;
            if !old && self.calls.len() <= options.window_calls {
                break;
            }
            self.calls.pop_front();
            self.failed -= usize::from(oldest.failed);
            self.slow -= usize::from(oldest.slow);
        }
        #[expect(clippy::cast_precision_loss, reason = "a window holds some hundred calls")]
        let share = |part: usize| part as f64 / self.calls.len() as f64;
        self.calls.len() >= options.minimum_calls.max(1)
            && (share(self.failed) >= options.failure_rate || share(self.slow) >= options.slow_call_rate)
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
