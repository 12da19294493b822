//! The limit itself, and what moves it.
//!
//! In each window, `stretch` is the time that its requests took, in sum, over the time that they take alone. Where
//! the limit is in use,
//!
//! ```text
//! limit = limit * min(1, tolerance / stretch) + sqrt(limit)
//! ```
//!
//! as in Envoy's filter: a queue shows as stretch and takes the limit down, and the root leaves room to find out about
//! more. What differs, each for a failure that the published ones are known for:
//!
//! - It begins at its highest, and only falls where it is in use (half of it at least) or somebody was refused: a few
//!   slow requests are no overload, and nobody is refused before there is one.
//! - **It comes back.** Where it is not in use and nobody is refused, it doubles each second. Those that grow by
//!   evidence alone stay low after an overload, since a normal load never fills them.
//! - The time that requests take alone is learned of each operation by itself, from those that met nobody else, and not
//!   from a long average, which an overload of a minute would raise. So neither a mixture that changes nor a slow operation
//!   looks like a queue.
//! - Where none is ever alone, because requests have been refused for ten seconds on end, a probe lets only one at a time
//!   pass, until five have met nobody else or a second is over (Envoy's minimum round-trip recalculation, BBR's
//!   `ProbeRTT`): what has become slower for good would else be taken for a queue for ever. Critical requests are not
//!   held to it.

use std::time::{Duration, Instant};

/// A window lasts this long at least.
const WINDOW: Duration = Duration::from_millis(50);
/// Then it ends as soon as it has so many samples.
const ENOUGH: u32 = 16;
/// After this long it ends with fewer: with one at least, or with none when no request is under way that could bring one.
const PATIENCE: Duration = Duration::from_millis(500);
/// So much longer than alone is no queue yet (Envoy's buffer of 25%).
const TOLERANCE: f64 = 1.25;
/// Nor is this much, in seconds: what the scheduler of a machine adds to what takes microseconds.
const SLACK: f64 = 0.0005;
/// The smallest factor by which one window takes the limit down.
const STEEPEST: f64 = 0.2;
/// One request counts as no longer than so many times what its operation takes alone.
const LONGEST: f64 = 10.0;
/// The weight of one request that met nobody else, in what is known of its operation.
const TRUST: f64 = 0.1;
/// The same of one in a probe, of which there are few.
const TRUST_IN_A_PROBE: f64 = 0.5;
/// After so long with refusals in each window, there is a probe.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// A probe ends with so many requests that met nobody else.
const PROBE_SAMPLES: u32 = 5;
/// It ends after this long in any case.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// The bounds between which the limit moves, in requests at a time.
#[derive(Debug, Clone, Copy)]
pub struct ConcurrencyOptions {
    /// It never falls below this.
    pub least: usize,
    /// Where it begins, and comes back to.
    pub most: usize,
}

impl Default for ConcurrencyOptions {
    fn default() -> Self {
        Self { least: 4, most: 512 }
    }
}

/// The limit, and what it has learned.
#[derive(Debug)]
pub(super) struct Gradient {
    options: ConcurrencyOptions,
    limit: f64,
    /// What one request takes alone, in seconds, by operation.
    alone: Vec<Option<f64>>,
    window: Window,
    /// Since when there has been no window without a refusal.
    refusing_since: Option<Instant>,
    probe: Option<Probe>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    /// Most that were in flight at once.
    busiest: usize,
    has_refused: bool,
    samples: u32,
    took: f64,
    would_take_alone: f64,
    /// Sum and number of those that succeeded, by operation.
    succeeded: Vec<(f64, u32)>,
}

#[derive(Debug)]
struct Probe {
    until: Instant,
    missing: u32,
}

/// One request that came to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) operation: usize,
    pub(super) took: Duration,
    /// It met nobody else when it began.
    pub(super) was_alone: bool,
    /// Only then does it tell how long its operation takes: a failure may be fast.
    pub(super) has_succeeded: bool,
}

impl Gradient {
    pub(super) fn new(options: ConcurrencyOptions, operations: usize, now: Instant) -> Self {
        let least = options.least.max(1);
        let options = ConcurrencyOptions {
            least,
            most: options.most.max(least),
        };
        Self {
            limit: as_f64(options.most),
            options,
            alone: vec![None; operations],
            window: Window::begin(now, 0, operations),
            refusing_since: None,
            probe: None,
        }
    }

    /// The limit as it stands, in whole requests.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between two bounds that were whole and above zero"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether one at a time is let through, to learn how long one takes alone.
    pub(super) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    pub(super) fn admitted(&mut self, in_flight: usize) {
        self.window.busiest = self.window.busiest.max(in_flight);
    }

    pub(super) fn refused(&mut self) {
        self.window.has_refused = true;
    }

    /// Takes in how long a request took.
    pub(super) fn take(&mut self, sample: Sample) {
        let took = sample.took.as_secs_f64();
        let Some(alone) = self.alone.get_mut(sample.operation) else {
            return;
        };
        if !sample.has_succeeded && alone.is_none_or(|alone| took <= alone) {
            return;
        }
        if sample.has_succeeded && sample.was_alone {
            let trust = if self.probe.is_some() { TRUST_IN_A_PROBE } else { TRUST };
            let known = alone.get_or_insert(took);
            // One that hung on something counts as no longer than the bound.
            *known += trust * (took.min(*known * LONGEST) - *known);
            if let Some(probe) = &mut self.probe {
                probe.missing = probe.missing.saturating_sub(1);
            }
        }
        let expected = alone.unwrap_or(took) + SLACK;
        let window = &mut self.window;
        window.samples = window.samples.saturating_add(1);
        window.took += (took + SLACK).min(expected * LONGEST);
        window.would_take_alone += expected;
        if let (true, Some((sum, count))) = (sample.has_succeeded, window.succeeded.get_mut(sample.operation)) {
            *sum += took;
            *count += 1;
        }
    }

    /// Does what time alone does: ends the window when it can tell something, and the probe when it is over.
    pub(super) fn advance(&mut self, now: Instant, in_flight: usize) {
        if let Some(probe) = &self.probe {
            if probe.missing > 0 && now < probe.until {
                return;
            }
            self.probe = None;
            self.refusing_since = None;
            self.window.restart(now, in_flight);
        }
        let passed = now.saturating_duration_since(self.window.began);
        if !self.window.tells(passed, in_flight) {
            return;
        }
        let is_in_use = as_f64(self.window.busiest) * 2.0 >= self.limit;
        let moved = if is_in_use || self.window.has_refused {
            let gradient = (TOLERANCE / self.window.stretch()).clamp(STEEPEST, 1.0);
            self.limit * gradient + self.limit.sqrt()
        } else {
            self.limit * passed.as_secs_f64().exp2()
        };
        self.limit = moved.clamp(as_f64(self.options.least), as_f64(self.options.most));
        self.learn_from_the_fast();
        self.probe_when_due(now);
        self.window.restart(now, in_flight);
    }

    /// When an operation took less, in the mean of a window, than it was thought to take alone, that mean is what it takes
    /// alone.
    fn learn_from_the_fast(&mut self) {
        for (known, (sum, count)) in self.alone.iter_mut().zip(&self.window.succeeded) {
            if *count == 0 {
                continue;
            }
            let mean = sum / f64::from(*count);
            match known {
                Some(alone) if *count >= ENOUGH && mean < *alone => *alone = mean,
                Some(_) => {}
                // Nobody was alone yet: the best that is known.
                None => *known = Some(mean),
            }
        }
    }

    fn probe_when_due(&mut self, now: Instant) {
        if !self.window.has_refused {
            self.refusing_since = None;
            return;
        }
        let since = *self.refusing_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= PROBE_EVERY {
            self.probe = Some(Probe {
                until: now + PROBE_LIMIT,
                missing: PROBE_SAMPLES,
            });
        }
    }
}

impl Window {
    fn begin(now: Instant, in_flight: usize, operations: usize) -> Self {
        Self {
            began: now,
            busiest: in_flight,
            has_refused: false,
            samples: 0,
            took: 0.0,
            would_take_alone: 0.0,
            succeeded: vec![(0.0, 0); operations],
        }
    }

    /// Begins anew, in the same memory.
    fn restart(&mut self, now: Instant, in_flight: usize) {
        let mut succeeded = std::mem::take(&mut self.succeeded);
        succeeded.fill((0.0, 0));
        *self = Self {
            succeeded,
            ..Self::begin(now, in_flight, 0)
        };
    }

    /// Whether it is long enough, and has samples or nobody who could bring one.
    fn tells(&self, passed: Duration, in_flight: usize) -> bool {
        if passed < WINDOW {
            return false;
        }
        self.samples >= ENOUGH || (passed >= PATIENCE && (self.samples > 0 || in_flight == 0))
    }

    fn stretch(&self) -> f64 {
        if self.samples == 0 {
            return 1.0;
        }
        (self.took / self.would_take_alone).max(f64::MIN_POSITIVE)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a machine has some thousand requests at a time"
)]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}
