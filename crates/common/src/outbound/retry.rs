use std::num::IntErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response, StatusCode, header};
use reqwest_middleware::{Error, Middleware, Next, Result};
use reqwest_retry::{RetryDecision, RetryPolicy, RetryTransientMiddleware, Retryable, RetryableStrategy};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::client::Repeat;
use super::{Destination, OutboundError};
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
        *self.0.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner) = wait;
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
        let asked = *call.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Statuses that say "not now".
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn is_worth_a_retry(error: &Error, repeat: bool) -> bool {
    match OutboundError::within(error) {
        // What never got a connection was not received: any request may be sent again.
        Some(OutboundError::Transport(cause)) => repeat || cause.is_connect(),
        Some(OutboundError::Timeout { .. }) => repeat,
        _ => false,
    }
}

/// A longer wish is cut: it is a mistake, or an attack on our clock.
const LONGEST_WISH: Duration = Duration::from_hours(24);

/// Reads `Retry-After`, in seconds or as a date; a day at most.
pub(super) fn retry_after(headers: &header::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More seconds than there is a number for.
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => LONGEST_WISH,
        Err(_) => Timestamp::from(OffsetDateTime::parse(text, &Rfc2822).ok()?).since(now),
    };
    Some(wish.min(LONGEST_WISH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::from_micros(1_445_412_470_000_000); // Wed, 21 Oct 2015 07:27:50 GMT
        let read = |text: &str| {
            let headers = header::HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        for endless in [
            "18446744073709551615",
            "99999999999999999999",
            "Fri, 21 Oct 2095 07:28:00 GMT",
        ] {
            assert_eq!(read(endless), Some(LONGEST_WISH));
        }
    }
}
