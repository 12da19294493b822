//! When a breaker opens, and how it finds back: data.

use std::time::Duration;

/// When a breaker opens, and how it finds back.
#[derive(Debug, Clone, Copy)]
pub struct BreakerOptions {
    /// At most so many calls count, the newest ones. Room for them is kept.
    pub window_calls: usize,
    /// No call counts that is older than this.
    pub window: Duration,
    /// With fewer calls in the window nothing is decided.
    pub minimum_calls: usize,
    /// Opens at this share of failures.
    pub failure_rate: f64,
    /// A call that takes this long or longer is slow.
    pub slow_call: Duration,
    /// Opens at this share of slow calls.
    pub slow_call_rate: f64,
    /// First time open; doubles each time that the probes fail.
    pub open_first: Duration,
    /// Longest time open, before up to a fifth is added by chance.
    pub open_limit: Duration,
    /// Calls that half-open admits; all must pass.
    pub probes: usize,
    /// A probe that has not ended this long after it was admitted has failed.
    pub probe_deadline: Duration,
    /// After this long closed, the time open starts from the first again.
    pub calm: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
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
