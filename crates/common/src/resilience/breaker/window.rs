//! The calls that a breaker judges by: the newest ones, bounded by count and by age.

use std::collections::VecDeque;
use std::time::Instant;

use serde::Serialize;

use super::options::BreakerOptions;

/// One call that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) at: Instant,
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// How many calls a breaker judges by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// All of them.
    pub calls: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that took longer than a call should.
    pub slow: usize,
}

/// The newest calls, and how many of them failed or were slow.
#[derive(Debug)]
pub(super) struct Window {
    calls: VecDeque<Call>,
    counted: Counted,
}

impl Window {
    /// An empty one with room for `calls`, so that none of them allocates.
    pub(super) fn with_room(calls: usize) -> Self {
        Self {
            calls: VecDeque::with_capacity(calls.max(1) + 1),
            counted: Counted::default(),
        }
    }

    pub(super) const fn counted(&self) -> Counted {
        self.counted
    }

    /// Adds a call, and lets go of those that count no more by then.
    pub(super) fn add(&mut self, call: Call, options: &BreakerOptions) {
        self.calls.push_back(call);
        self.counted.calls += 1;
        self.counted.failed += usize::from(call.failed);
        self.counted.slow += usize::from(call.slow);
        self.let_go(call.at, options);
    }

    /// Lets go of the calls that count no more at `now`.
    pub(super) fn let_go(&mut self, now: Instant, options: &BreakerOptions) {
        while let Some(oldest) = self.calls.front().copied() {
            let is_old = now.saturating_duration_since(oldest.at) > options.window;
            if !is_old && self.calls.len() <= options.window_calls.max(1) {
                break;
            }
            self.calls.pop_front();
            self.counted.calls -= 1;
            self.counted.failed -= usize::from(oldest.failed);
            self.counted.slow -= usize::from(oldest.slow);
        }
    }

    /// Whether the rates say that the breaker opens.
    pub(super) fn asks_to_open(&self, options: &BreakerOptions) -> bool {
        let Counted { calls, failed, slow } = self.counted;
        #[expect(clippy::cast_precision_loss, reason = "a window holds some hundred calls")]
        let share = |part: usize| part as f64 / calls as f64;
        calls >= options.minimum_calls.max(1)
            && (share(failed) >= options.failure_rate || share(slow) >= options.slow_call_rate)
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.counted = Counted::default();
    }
}
