//! resilience-5, a solution: the key comes from what is told of, so that every try of it has the same.

use crate::exercises::resilience::provider::{CallError, Provider};
use crate::exercises::resilience::unknown::Tells;

/// Tries in all.
const TRIES: u32 = 4;

pub(crate) struct Orders {
    provider: Provider,
}

impl Tells for Orders {
    fn new(provider: Provider) -> Self {
        Self { provider }
    }

    async fn tell(&self, order: u32) -> Result<(), CallError> {
        // Not made by chance: a process that begins anew finds the same one.
        let key = format!("order-{order}");
        let mut outcome = Err(CallError::NoAnswer);
        for _ in 0..TRIES {
            outcome = self.provider.send(&key).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
