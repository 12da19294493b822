//! Whether a retry may be made at all, so that retries never become the load.

use std::time::Instant;

use parking_lot::Mutex;

/// Share of the calls that may be retried, beside the steady allowance.
const SHARE: f64 = 0.1;
/// Retries a second that are always allowed, so that a quiet client can retry too.
const PER_SECOND: f64 = 1.0;
/// Retries that are there at the start.
const AT_FIRST: f64 = 3.0;
/// Most retries that can be saved up.
const MOST: f64 = 10.0;

/// Bounds retries to a tenth of the calls and one a second, so that they never multiply an outage.
#[derive(Debug)]
pub struct RetryBudget {
    bucket: Mutex<Bucket>,
}

impl RetryBudget {
    /// Makes a budget with a burst of three in it, so that a client that has just started can retry.
    pub fn new(now: Instant) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(AT_FIRST, now)),
        }
    }

    /// Counts a first try: each one earns a part of a retry.
    pub fn earn(&self) {
        let mut bucket = self.bucket.lock();
        bucket.add(SHARE, MOST);
    }

    /// Takes one retry out, when there is one; says whether there was.
    pub fn spend(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock();
        bucket.refill(PER_SECOND, MOST, now);
        bucket.take()
    }
}

/// Tokens and the time of their last refill.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    const fn new(tokens: f64, now: Instant) -> Self {
        Self { tokens, refilled: now }
    }

    fn refill(&mut self, per_second: f64, most: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        self.refilled = self.refilled.max(now);
        self.add(passed.as_secs_f64() * per_second, most);
    }

    const fn add(&mut self, tokens: f64, most: f64) {
        self.tokens = (self.tokens + tokens).min(most);
    }

    fn take(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_retried_by_a_tenth_and_one_a_second_at_most() {
        let start = Instant::now();
        let budget = RetryBudget::new(start);
        let mut retries = 0;
        for call in 0..1_000_u64 {
            budget.earn();
            // 100 calls a second, each of which would like three retries.
            let now = start + Duration::from_millis(call * 10);
            retries += (0..3).filter(|_| budget.spend(now)).count();
        }
        assert!(
            (100..=115).contains(&retries),
            "{retries} retries for 1000 calls in 10 s"
        );
    }
}
