//! Who is let in: the limit's shares by priority, and the places that are taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gradient::{ConcurrencyOptions, Gradient, Sample, as_f64};
use parking_lot::{Mutex, MutexGuard};

/// What a refused request waits at least before it comes again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How much a request matters when not all can be served; the first of these is refused last.
///
/// Named after the criticalities of Google's "Site Reliability Engineering", chapter 21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// May use all of the limit.
    Critical,
    /// Whoever waits for an answer.
    Normal,
    /// Whoever can come again later.
    Sheddable,
}

impl Priority {
    /// All of them, the one that is refused last in front.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Sheddable];

    /// As it stands in metrics and spans.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }

    /// The part of the limit up to which it is let in.
    const fn share(self) -> f64 {
        match self {
            Self::Critical => 1.0,
            Self::Normal => 0.9,
            Self::Sheddable => 0.7,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a whole number above zero"
    )]
    fn part_of(self, limit: usize) -> usize {
        ((as_f64(limit) * self.share()) as usize).max(1)
    }
}

/// How a request ended, as far as it tells how long its kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work.
    Succeeded,
    /// It did not: refused by a rule, or failed. Such a one may be fast, and then tells nothing.
    Failed,
}

/// The limit is reached: the request should not be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded {
    /// When it is worth trying again.
    pub retry_after: Duration,
}

/// Bounds how many requests are under way at a time, and finds the bound by itself.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    gradient: Gradient,
    in_flight: usize,
}

/// One request under way. Say how it ended; dropped without that, its place is free and nothing is learned.
#[derive(Debug)]
pub struct InFlight {
    limit: Arc<ConcurrencyLimit>,
    operation: usize,
    began: Instant,
    was_alone: bool,
    is_settled: bool,
}

impl ConcurrencyLimit {
    /// A limit at its highest, over operations with the numbers below `operations`.
    pub fn new(options: ConcurrencyOptions, operations: usize, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                gradient: Gradient::new(options, operations, now),
                in_flight: 0,
            }),
        })
    }

    /// Lets a request in, or refuses it, at once.
    ///
    /// # Errors
    /// [`Overloaded`] when as many are under way as its priority allows.
    pub fn admit(self: &Arc<Self>, priority: Priority, operation: usize, now: Instant) -> Result<InFlight, Overloaded> {
        let mut inner = self.lock();
        let Inner { gradient, in_flight } = &mut *inner;
        gradient.advance(now, *in_flight);
        let limit = gradient.limit();
        let allowed = if gradient.is_probing() && priority != Priority::Critical {
            1
        } else {
            priority.part_of(limit)
        };
        if *in_flight >= allowed {
            gradient.refused();
            return Err(Overloaded {
                retry_after: RETRY_AFTER,
            });
        }
        Ok(self.place(&mut inner, operation, now))
    }

    /// Lets a request in that had been let in and left its place for a while, whatever the limit. How long it takes counts
    /// from now.
    pub fn admit_again(self: &Arc<Self>, operation: usize, now: Instant) -> InFlight {
        self.place(&mut self.lock(), operation, now)
    }

    fn place(self: &Arc<Self>, inner: &mut Inner, operation: usize, now: Instant) -> InFlight {
        let was_alone = inner.in_flight == 0;
        inner.in_flight += 1;
        inner.gradient.admitted(inner.in_flight);
        InFlight {
            limit: Arc::clone(self),
            operation,
            began: now,
            was_alone,
            is_settled: false,
        }
    }

    /// The limit at this moment.
    pub fn limit(&self, now: Instant) -> usize {
        let mut inner = self.lock();
        let Inner { gradient, in_flight } = &mut *inner;
        gradient.advance(now, *in_flight);
        gradient.limit()
    }

    /// How many are under way.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl InFlight {
    /// Frees its place, and has the limit learn from how long it took.
    pub fn finish(mut self, outcome: Outcome, now: Instant) {
        self.is_settled = true;
        let mut inner = self.limit.lock();
        inner.in_flight -= 1;
        let Inner { gradient, in_flight } = &mut *inner;
        gradient.take(Sample {
            operation: self.operation,
            took: now.saturating_duration_since(self.began),
            was_alone: self.was_alone,
            has_succeeded: outcome == Outcome::Succeeded,
        });
        gradient.advance(now, *in_flight);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_settled {
            self.limit.lock().in_flight -= 1;
        }
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
