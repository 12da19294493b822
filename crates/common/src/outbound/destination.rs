//! How one destination is called: its deadlines, limits and retries. Pure data.

use std::time::Duration;

use crate::resilience::{Backoff, BreakerOptions};

/// How one destination is called.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Name in metrics, spans and readiness.
    pub name: &'static str,
    /// All tries of one call, waits included.
    pub call_timeout: Duration,
    /// One try, its answer read.
    pub try_timeout: Duration,
    /// Tries after the first: 2 retries are at most 3 tries.
    pub retries: u32,
    /// Waits between tries, unless the answer names one.
    pub backoff: Backoff,
    /// When the breaker opens.
    pub breaker: BreakerOptions,
    /// Agreed rate, when there is one.
    pub rate: Option<Rate>,
    /// Calls under way at a time.
    pub places: usize,
    /// Bytes of an answer that are read at most.
    pub answer_limit: usize,
}

/// A rate that a destination allows.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Calls a second over time.
    pub per_second: f64,
    /// Calls at once.
    pub burst: f64,
}

impl Destination {
    /// The usual way to call: two retries, 32 calls at a time, answers up to 256 KiB.
    pub fn new(name: &'static str, call_timeout: Duration, try_timeout: Duration) -> Self {
        Self {
            name,
            call_timeout,
            try_timeout,
            retries: 2,
            backoff: Backoff {
                first: Duration::from_millis(200),
                limit: Duration::from_secs(5),
            },
            breaker: BreakerOptions {
                // Slow is what comes near the timeout; a probe outlives its try.
                slow_call: try_timeout.mul_f64(0.8),
                probe_deadline: try_timeout * 2,
                ..BreakerOptions::default()
            },
            rate: None,
            places: 32,
            answer_limit: 256 * 1024,
        }
    }
}
