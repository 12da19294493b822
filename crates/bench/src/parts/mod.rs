//! The comparisons, each with its target.

mod journey;
mod reads;
mod relay;
mod sign_ups;

use std::time::Duration;

pub(crate) use self::{
    journey::journey,
    reads::reads,
    relay::{relay, sample_message},
    sign_ups::sign_ups,
};

/// The middle of several rounds: one round that somebody else's work disturbed does not count.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    f64::midpoint(at(last / 2), at(last.div_ceil(2)))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
