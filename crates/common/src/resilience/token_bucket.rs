//! Whether an agreed rate allows one more call.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A rate with a burst: calls a second over time, `burst` at once.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    bucket: Mutex<Bucket>,
}

impl TokenBucket {
    /// Makes a full bucket. `per_second` and `burst` count for at least one call an hour and one call.
    pub fn new(per_second: f64, burst: f64, now: Instant) -> Self {
        let burst = burst.max(1.0);
        Self {
            per_second: per_second.max(1.0 / 3600.0),
            burst,
            bucket: Mutex::new(Bucket::new(burst, now)),
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock();
        bucket.refill(self.per_second, self.burst, now);
        if bucket.take() {
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }
}

/// Tokens and the time of their last refill.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    pub(super) const fn new(tokens: f64, now: Instant) -> Self {
        Self { tokens, refilled: now }
    }

    pub(super) fn refill(&mut self, per_second: f64, most: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        self.refilled = self.refilled.max(now);
        self.add(passed.as_secs_f64() * per_second, most);
    }

    pub(super) const fn add(&mut self, tokens: f64, most: f64) {
        self.tokens = (self.tokens + tokens).min(most);
    }

    pub(super) fn take(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let bucket = TokenBucket::new(10.0, 3.0, start);
        assert_eq!((0..5).filter(|_| bucket.take(start).is_ok()).count(), 3);
        let wait = bucket.take(start).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(bucket.take(start + Duration::from_millis(101)).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_allow(steps in proptest::collection::vec(0_u64..400, 1..200)) {
            let start = Instant::now();
            let bucket = TokenBucket::new(5.0, 4.0, start);
            let mut at = 0;
            let mut taken = 0.0;
            for step in steps {
                at += step;
                if bucket.take(start + Duration::from_millis(at)).is_ok() {
                    taken += 1.0;
                }
                prop_assert!(taken <= 4.0 + Duration::from_millis(at).as_secs_f64() * 5.0 + 1e-6);
            }
        }
    }
}
