//! How the measured values become the figures of the report.

use std::time::Duration;

use crate::load::percentile;

/// The middle of several rounds: one round that somebody else's work disturbed does not count.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    f64::midpoint(at(last / 2), at(last.div_ceil(2)))
}

/// What half of these took at most, and what 99 of a hundred did, in milliseconds.
pub(super) fn p50_and_p99(took: impl Iterator<Item = Duration>) -> [f64; 2] {
    let mut took: Vec<_> = took.collect();
    took.sort_unstable();
    [0.50, 0.99].map(|share| millis(percentile(&took, share)))
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How many requests `rate` a second makes in this time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests"
)]
pub(super) fn count(rate: f64, length: Duration) -> usize {
    (rate * length.as_secs_f64()) as usize
}
