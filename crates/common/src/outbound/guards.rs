//! What stands between a call and its destination: breaker, rate, places.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response, StatusCode};
use reqwest_middleware::{Middleware, Next, Result};

use super::{OutboundError, Rate, Refusal};
use crate::resilience::{Breaker, Bulkhead, TokenBucket, Verdict};

/// A full bulkhead is worth another look after this long: a place frees itself with each answer.
const BULKHEAD_RETRY: Duration = Duration::from_millis(250);

/// Third layer: no call to a destination that is out.
pub(super) struct BreakerLayer {
    pub(super) breaker: Arc<Breaker>,
}

#[async_trait]
impl Middleware for BreakerLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let permit = self
            .breaker
            .admit(Instant::now())
            .map_err(|rejected| OutboundError::Unavailable {
                refusal: Refusal::BreakerOpen,
                retry_after: rejected.retry_after,
            })?;
        let outcome = next.run(request, extensions).await;
        match verdict(&outcome) {
            Some(verdict) => permit.report(verdict, Instant::now()),
            None => permit.release(Instant::now()),
        }
        outcome
    }
}

/// What an outcome says about the destination; `None`: it was not called.
fn verdict(outcome: &Result<Response>) -> Option<Verdict> {
    match outcome {
        Ok(answer) if answer.status().is_server_error() || answer.status() == StatusCode::REQUEST_TIMEOUT => {
            Some(Verdict::Failure)
        }
        // A 429 too: a destination that counts our calls is well.
        Ok(_) => Some(Verdict::Success),
        Err(error) => match OutboundError::within(error) {
            Some(OutboundError::Unavailable { .. } | OutboundError::Request(_)) => None,
            _ => Some(Verdict::Failure),
        },
    }
}

/// Fourth layer: the agreed rate.
pub(super) struct RateLayer(Option<TokenBucket>);

impl RateLayer {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| TokenBucket::new(rate.per_second, rate.burst, Instant::now())))
    }
}

#[async_trait]
impl Middleware for RateLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        if let Some(Err(retry_after)) = self.0.as_ref().map(|bucket| bucket.take(Instant::now())) {
            return Err(OutboundError::Unavailable {
                refusal: Refusal::RateLimited,
                retry_after,
            }
            .into());
        }
        next.run(request, extensions).await
    }
}

/// Fifth layer: a bounded number of calls at a time.
pub(super) struct BulkheadLayer(pub(super) Bulkhead);

#[async_trait]
impl Middleware for BulkheadLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let Some(_place) = self.0.enter() else {
            return Err(OutboundError::Unavailable {
                refusal: Refusal::BulkheadFull,
                retry_after: BULKHEAD_RETRY,
            }
            .into());
        };
        next.run(request, extensions).await
    }
}
