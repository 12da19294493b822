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
use super::attempt::Tries;
use super::deadline::Deadline;
use super::decisions::{Decision, Decisions};
use super::{Destination, OutboundError, Repeat};
use crate::Timestamp;
use crate::resilience::{Backoff, Breaker, RetryBudget};

/// A try that has less than this part of its time is not worth making.
const LEAST_OF_A_TRY: u32 = 4;

/// Second layer: tries again what may be tried again, while time and budget last.
///
/// reqwest-retry's own strategy would repeat a POST and knows no `Retry-After`, and its policy and
/// strategy do not know each other; so each call gets a pair that shares what the answers said.
pub(super) struct RetryLayer {
    budget: Arc<RetryBudget>,
    backoff: Backoff,
    retries: u32,
    call_timeout: Duration,
    least: Duration,
    breaker: Arc<Breaker>,
    decisions: Decisions,
}

impl RetryLayer {
    pub(super) fn new(destination: &Destination, breaker: &Arc<Breaker>, decisions: Decisions) -> Self {
        Self {
            budget: Arc::new(RetryBudget::new(Instant::now())),
            backoff: destination.backoff,
            retries: destination.retries,
            call_timeout: destination.call_timeout,
            least: destination.try_timeout / LEAST_OF_A_TRY,
            breaker: Arc::clone(breaker),
            decisions,
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
            breaker: Arc::clone(&self.breaker),
            decisions: self.decisions.clone(),
            budget: Arc::clone(&self.budget),
            backoff: self.backoff,
            retries: self.retries,
            least: self.least,
            time: Deadline::left(extensions).unwrap_or(self.call_timeout),
        });
        let tries = RetryTransientMiddleware::new_with_policy_and_strategy(
            Policy(Arc::clone(&call)),
            Strategy(Arc::clone(&call)),
        );
        let outcome = tries.handle(request, extensions, next).await;
        let Tries {
            made, may_be_received, ..
        } = extensions.get().copied().unwrap_or_default();
        outcome.map_err(|error| match OutboundError::unwrap_from(error) {
            // "Not called" is said of a call of which no try was made, and of no other.
            OutboundError::Unavailable { refusal, retry_after } if made > 0 => {
                let asked = call.asked_to_wait.lock().map_or(Duration::ZERO, Asked::left);
                OutboundError::NotAgain {
                    refusal,
                    retry_after: retry_after.max(asked),
                    may_be_received,
                }
                .into()
            }
            error => error.into(),
        })
    }
}

/// What the last answer said about the next try.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    wait: Duration,
}

impl Asked {
    fn left(self) -> Duration {
        self.wait.saturating_sub(self.at.elapsed())
    }
}

/// What policy and strategy of one call share.
struct Call {
    began: Instant,
    repeat: bool,
    /// Of the last answer; a refusal of our own does not change it.
    asked_to_wait: Mutex<Option<Asked>>,
    budget: Arc<RetryBudget>,
    backoff: Backoff,
    retries: u32,
    time: Duration,
    /// What a try must have left to be worth it.
    least: Duration,
    breaker: Arc<Breaker>,
    decisions: Decisions,
}

struct Strategy(Arc<Call>);

impl RetryableStrategy for Strategy {
    fn handle(&self, outcome: &Result<Response>) -> Option<Retryable> {
        let call = &self.0;
        let again = match outcome {
            Ok(answer) => {
                let wait = retry_after(answer.headers(), Timestamp::now());
                let at = Instant::now();
                *call.asked_to_wait.lock() = wait.map(|wait| Asked { at, wait });
                call.repeat && is_passing(answer.status())
            }
            Err(error) => {
                let was_called = !matches!(OutboundError::within(error), Some(OutboundError::Unavailable { .. }));
                if was_called {
                    *call.asked_to_wait.lock() = None;
                }
                is_worth_a_retry(error, call.repeat)
            }
        };
        again.then_some(Retryable::Transient)
    }
}

struct Policy(Arc<Call>);

impl Policy {
    /// The wait before the next try, or why there is none.
    fn wait(&self, past_retries: u32) -> std::result::Result<Duration, Decision> {
        let call = &self.0;
        if past_retries >= call.retries {
            return Err(Decision::RetriesUsedUp);
        }
        let backoff = call.backoff.full_jitter(past_retries, rand::random());
        let asked = call.asked_to_wait.lock().map_or(Duration::ZERO, Asked::left);
        let wait = backoff.max(asked);
        // A wait past the deadline is the caller's to make: it gets the answer, `Retry-After` included. A try that would be
        // cut as soon as it began would tell less than what is known.
        if call.began.elapsed().saturating_add(wait).saturating_add(call.least) >= call.time {
            return Err(Decision::RetryHasNoTime);
        }
        // Nor is there a wait for a try that the breaker will refuse: what the destination said last is worth more.
        if call.breaker.open_for(Instant::now()).is_some_and(|left| left > wait) {
            return Err(Decision::RetryMeetsBreaker);
        }
        if !call.budget.spend(Instant::now()) {
            return Err(Decision::RetryBudgetSpent);
        }
        Ok(wait)
    }
}

impl RetryPolicy for Policy {
    fn should_retry(&self, start: SystemTime, past_retries: u32) -> RetryDecision {
        let call = &self.0;
        match self.wait(past_retries) {
            Ok(wait) => {
                call.decisions.note(Decision::Retried);
                RetryDecision::Retry {
                    execute_after: start + call.began.elapsed() + wait,
                }
            }
            Err(decision) => {
                call.decisions.note(decision);
                RetryDecision::DoNotRetry
            }
        }
    }
}

fn is_worth_a_retry(error: &Error, repeat: bool) -> bool {
    match OutboundError::within(error) {
        // What never got a connection was not received: any request may be sent again.
        Some(OutboundError::Transport(cause)) => repeat || cause.is_connect(),
        Some(OutboundError::Timeout { .. } | OutboundError::Stalled { .. }) => repeat,
        _ => false,
    }
}
