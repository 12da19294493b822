//! Tries a call again where that may help, while its time and the retry budget last.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use http::Extensions;
use parking_lot::Mutex;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use reqwest_retry::{RetryDecision, RetryPolicy, RetryTransientMiddleware, Retryable, RetryableStrategy};

use super::answer::{is_passing, retry_after};
use super::{Destination, OutboundError, Repeat};
use crate::Timestamp;
use crate::resilience::{Backoff, RetryBudget};

/// Second layer: tries again what may be tried again, while time and budget last.
///
/// reqwest-retry's own strategy would repeat a POST and knows no `Retry-After`, and its policy and
/// strategy do not know each other; so each call gets a pair that shares what the answers said.
pub(super) struct RetryLayer {
    budget: Arc<RetryBudget>,
    backoff: Backoff,
    retries: u32,
    call_timeout: Duration,
}

impl RetryLayer {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            budget: Arc::new(RetryBudget::new(Instant::now())),
            backoff: destination.backoff,
            retries: destination.retries,
            call_timeout: destination.call_timeout,
        }
    }
}

#[async_trait]
impl Middleware for RetryLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        self.budget.earn();
        let call = Arc::new(Call {
            began: Instant::now(),
            repeat: extensions
                .get::<Repeat>()
                .copied()
                .unwrap_or_default()
                .resolve(request.method()),
            asked_to_wait: Mutex::new(None),
            budget: Arc::clone(&self.budget),
            backoff: self.backoff,
            retries: self.retries,
            time: self.call_timeout,
        });
        RetryTransientMiddleware::new_with_policy_and_strategy(Policy(Arc::clone(&call)), Strategy(call))
            .handle(request, extensions, next)
            .await
    }
}

/// What policy and strategy of one call share.
struct Call {
    began: Instant,
    repeat: bool,
    asked_to_wait: Mutex<Option<Duration>>,
    budget: Arc<RetryBudget>,
    backoff: Backoff,
    retries: u32,
    time: Duration,
}

struct Strategy(Arc<Call>);

impl RetryableStrategy for Strategy {
    fn handle(&self, outcome: &Result<Response>) -> Option<Retryable> {
        let (again, wait) = match outcome {
            Ok(answer) => (
                self.0.repeat && is_passing(answer.status()),
                retry_after(answer.headers(), Timestamp::now()),
            ),
            Err(error) => (is_worth_a_retry(error, self.0.repeat), None),
        };
        *self.0.asked_to_wait.lock() = wait;
        again.then_some(Retryable::Transient)
    }
}

struct Policy(Arc<Call>);

impl RetryPolicy for Policy {
    fn should_retry(&self, start: SystemTime, past_retries: u32) -> RetryDecision {
        let call = &self.0;
        if past_retries >= call.retries {
            return RetryDecision::DoNotRetry;
        }
        let asked = *call.asked_to_wait.lock();
        let backoff = call.backoff.delay(past_retries, rand::random());
        let wait = asked.map_or(backoff, |asked| asked.max(backoff));
        let passed = call.began.elapsed();
        // A wait past the deadline is the caller's to make: it gets the answer, `Retry-After` included.
        if passed.saturating_add(wait) >= call.time || !call.budget.spend(Instant::now()) {
            return RetryDecision::DoNotRetry;
        }
        RetryDecision::Retry {
            execute_after: start + passed + wait,
        }
    }
}

fn is_worth_a_retry(error: &Error, repeat: bool) -> bool {
    match OutboundError::within(error) {
        // What never got a connection was not received: any request may be sent again.
        Some(OutboundError::Transport(cause)) => repeat || cause.is_connect(),
        Some(OutboundError::Timeout { .. }) => repeat,
        _ => false,
    }
}
