//! resilience-4, a solution: all calls share a budget of retries, and wait before they use it.

use std::time::{Duration, Instant};

use common::resilience::{Backoff, RetryBudget};

use crate::exercises::resilience::provider::{CallError, Provider};
use crate::exercises::resilience::storm::Sender;

/// Tries after the first.
const RETRIES: u32 = 3;
/// Waits between them; short, so that a check does not take long.
const WAITS: Backoff = Backoff {
    first: Duration::from_millis(10),
    limit: Duration::from_millis(100),
};

pub(crate) struct Caller {
    provider: Provider,
    budget: RetryBudget,
}

impl Sender for Caller {
    fn new(provider: Provider) -> Self {
        let budget = RetryBudget::new(Instant::now());
        Self { provider, budget }
    }

    async fn send(&self, key: &str) -> Result<(), CallError> {
        self.budget.earn();
        let mut outcome = self.provider.send(key).await;
        for retry in 0..RETRIES {
            if outcome.is_ok() || !self.budget.spend(Instant::now()) {
                break;
            }
            // By chance, so that those who failed together do not come back together.
            tokio::time::sleep(WAITS.full_jitter(retry, fastrand::f64())).await;
            outcome = self.provider.send(key).await;
        }
        outcome
    }
}
