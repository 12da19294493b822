//! Whether a retry may be made at all, so that retries never become the load.

use std::time::Instant;

use super::token_bucket::Bucket;
use parking_lot::Mutex;

/// Share of the calls that may be retried, beside the steady allowance.
const SHARE: f64 = 0.1;
/// Retries a second that are always allowed, so that a quiet client can retry too.
const PER_SECOND: f64 = 3.0;
/// Most retries that can be saved up.
const MOST: f64 = 30.0;

/// Bounds retries to a tenth of the calls and three a second, so that they never multiply an outage.
#[derive(Debug)]
pub struct RetryBudget {
    bucket: Mutex<Bucket>,
}

impl RetryBudget {
    /// Makes a budget with one second's allowance in it.
    pub fn new(now: Instant) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(PER_SECOND, now)),
        }
    }

    /// Counts a first try: each one earns a part of a retry.
    pub fn earn(&self) {
        let mut bucket = self.bucket.lock();
        bucket.add(SHARE, MOST);
    }

    /// Takes one retry out, when there is one.
    pub fn spend(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock();
        bucket.refill(PER_SECOND, MOST, now);
        bucket.take()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_retried_by_a_tenth_and_three_a_second_at_most() {
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
            (100..=140).contains(&retries),
            "{retries} retries for 1000 calls in 10 s"
        );
    }
}
