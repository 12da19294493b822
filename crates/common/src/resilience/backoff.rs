//! How long to wait before the next try.
//!
//! Source of both jitters: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// Waits that grow by doubling, with jitter, so that callers that failed together do not return together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Longest first wait.
    pub first: Duration,
    /// No wait is longer than this.
    pub limit: Duration,
}

impl Backoff {
    /// Waits from `first`, doubling, to `limit`.
    pub const fn doubling(first: Duration, limit: Duration) -> Self {
        Self { first, limit }
    }

    /// The wait before retry number `retry` (0 is the first) without jitter, for one who fails alone.
    pub fn step(&self, retry: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(retry)).min(self.limit)
    }

    /// The wait before retry number `retry` (0 is the first): between half and all of the step.
    ///
    /// `random` is a number from 0 to 1.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        self.step(retry).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// The wait before retry number `retry` with full jitter: between nothing and all of the step, so that tries of many
    /// callers are spread evenly.
    ///
    /// `random` is a number from 0 to 1.
    pub fn full_jitter(&self, retry: u32, random: f64) -> Duration {
        self.step(retry).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_wait_is_within_half_of_its_step_and_the_limit(retry in 0_u32..100, random in 0.0_f64..1.0) {
            let backoff = Backoff { first: Duration::from_millis(100), limit: Duration::from_secs(10) };
            let delay = backoff.delay(retry, random);
            prop_assert!(delay >= Duration::from_millis(50) && delay <= Duration::from_secs(10));
        }
    }

    #[test]
    fn full_jitter_is_anything_up_to_the_step() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            limit: Duration::from_millis(300),
        };
        assert_eq!(backoff.full_jitter(1, 0.0), Duration::ZERO);
        assert_eq!(backoff.full_jitter(1, 0.5), Duration::from_millis(100));
        assert_eq!(backoff.full_jitter(9, 1.0), Duration::from_millis(300));
    }

    #[test]
    fn the_step_doubles() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            limit: Duration::from_secs(10),
        };
        assert_eq!(backoff.delay(0, 1.0), Duration::from_millis(100));
        assert_eq!(backoff.delay(3, 1.0), Duration::from_millis(800));
        assert_eq!(backoff.delay(3, 0.0), Duration::from_millis(400));
    }
}
