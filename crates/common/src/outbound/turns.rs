//! A call's turn: the rate that was agreed, and the places that a destination has.

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use super::deadline::Deadline;
use super::decisions::{Decision, Decisions};
use super::{OutboundError, Refusal};
use crate::limits::{SharedRate, Verdict};
use crate::resilience::Bulkhead;

/// A full bulkhead is worth another look after this long: a place frees itself with each answer.
const BULKHEAD_RETRY: Duration = Duration::from_millis(250);

/// Fourth layer: the agreed rate, kept by all replicas together. A wait that fits the deadline is waited.
pub(super) struct RateLayer {
    pub(super) rate: Option<SharedRate>,
    pub(super) try_timeout: Duration,
    pub(super) decisions: Decisions,
}

#[async_trait]
impl Middleware for RateLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let Some(rate) = &self.rate else {
            return next.run(request, extensions).await;
        };
        let refused = match rate.turn().await {
            Verdict::Pass => None,
            Verdict::Wait(wait) if wait <= Deadline::patience(extensions, self.try_timeout) => {
                self.decisions.note(Decision::RateWaited);
                tokio::time::sleep(wait).await;
                None
            }
            Verdict::Wait(wait) | Verdict::Refuse(wait) => Some(wait),
        };
        if let Some(retry_after) = refused {
            self.decisions.note(Decision::RateRefused);
            let refusal = Refusal::RateLimited;
            return Err(OutboundError::Unavailable { refusal, retry_after }.into());
        }
        next.run(request, extensions).await
    }
}

/// Fifth layer: a bounded number of calls at a time. Who finds no place waits within the deadline.
pub(super) struct BulkheadLayer {
    pub(super) places: Bulkhead,
    pub(super) try_timeout: Duration,
    pub(super) decisions: Decisions,
}

#[async_trait]
impl Middleware for BulkheadLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let patience = Deadline::patience(extensions, self.try_timeout);
        let mut place = self.places.enter_at_once();
        if place.is_none() {
            self.decisions.note(Decision::PlaceWaited);
            place = self.places.enter_within(patience).await;
        }
        let Some(_place) = place else {
            self.decisions.note(Decision::PlaceRefused);
            return Err(OutboundError::Unavailable {
                refusal: Refusal::BulkheadFull,
                retry_after: BULKHEAD_RETRY,
            }
            .into());
        };
        next.run(request, extensions).await
    }
}
