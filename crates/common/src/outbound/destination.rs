//! How one destination is called: its deadlines, limits and retries. Pure data.

use std::sync::Arc;
use std::time::Duration;

use crate::resilience::{Backoff, BreakerOptions, Quota};

/// How one destination is called.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Name in metrics, spans and readiness.
    pub name: Arc<str>,
    /// Longest time for one call: all its tries, waits included.
    pub call_timeout: Duration,
    /// Longest time for one try, until its answer is read.
    pub try_timeout: Duration,
    /// Longest time until a connection stands; part of the try's.
    pub connect_timeout: Duration,
    /// Longest time from one piece of an answer to the next; part of the try's.
    pub stall_timeout: Duration,
    /// Tries after the first: 3 retries are at most 4 tries.
    pub retries: u32,
    /// Waits between tries, unless the answer names one.
    pub backoff: Backoff,
    /// When the breaker opens.
    pub breaker: BreakerOptions,
    /// Whether a 429 with `Retry-After` has every call wait. Not so where it may be about one recipient: there the caller
    /// reads the answer and says it ([`OutboundClient::pause`](super::OutboundClient::pause)).
    pub pauses_by_itself: bool,
    /// Agreed rate, when there is one.
    pub rate: Option<Rate>,
    /// Most calls under way at a time, of one process.
    pub places: usize,
    /// Bytes of an answer that are read at most.
    pub answer_limit: usize,
}

/// A rate that a destination allows, all replicas taken together.
#[derive(Debug, Clone, Copy)]
pub enum Rate {
    /// Calls a second, evenly: each waits for its turn (leaky bucket).
    Even(f64),
    /// Calls a second over time, so many at once (token bucket).
    Bursts(f64, u32),
}

impl Rate {
    /// The rate as a quota that has nobody wait for longer than `patience`.
    pub(super) fn quota(self, patience: Duration) -> Quota {
        match self {
            Self::Even(per_second) => Quota::leaky_bucket_within(per_second * 60.0, patience),
            Self::Bursts(per_second, burst) => Quota::token_bucket(per_second * 60.0, burst),
        }
    }
}

impl Destination {
    /// The usual way to call: three retries, 32 calls at a time, answers up to 256 KiB.
    pub fn new(name: impl Into<Arc<str>>, call_timeout: Duration, try_timeout: Duration) -> Self {
        Self {
            name: name.into(),
            call_timeout,
            try_timeout,
            connect_timeout: Duration::from_secs(3).min(try_timeout),
            stall_timeout: Duration::from_secs(2).min(try_timeout),
            retries: 3,
            backoff: Backoff {
                first: Duration::from_millis(200),
                limit: Duration::from_secs(5),
            },
            breaker: BreakerOptions {
                // Slow is what comes near the timeout; a probe may wait for its turn as long as any call.
                slow_call: try_timeout.mul_f64(0.8),
                probe_deadline: call_timeout + Duration::from_secs(1),
                ..BreakerOptions::default()
            },
            pauses_by_itself: true,
            rate: None,
            places: 32,
            answer_limit: 256 * 1024,
        }
    }
}
