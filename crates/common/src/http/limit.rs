//! The layer that holds the rate limits, around each route: its row says which class it counts towards.
//!
//! Reads and writes count for whom the token names, everything else for the source. Who shows no token where one is wanted is
//! refused as ever, and counts for nobody; a token that is no good counts for its source as what is public does, so that
//! guessing has an end. A request that waits for its turn in a leaky bucket waits here, outside of every bulkhead and without
//! its place under the concurrency limit.
//!
//! Answers carry `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 has them; a refusal is 429 with
//! `Retry-After`, and its `t` is the same. The partition key is left out: it would be a person or an address.

use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use tracing::Span;

use super::caller::{Verified, any_token, verify};
use super::describe::Access;
use super::held_place::HeldPlace;
use super::source::source;
use super::{Problem, kinds};
use crate::config::Networks;
use crate::limits::{Class, Decision, Limiter, Subject, Verdict};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the layer needs: register it as `app_data`.
pub(super) struct Limits {
    limiter: Limiter,
    trusted_proxies: Networks,
    /// What `RateLimit-Policy` says, by class.
    policies: [Option<HeaderValue>; Class::ALL.len()],
}

impl Limits {
    pub(super) fn new(limiter: Limiter, trusted_proxies: Networks) -> Self {
        let policies = Class::ALL.map(|class| {
            let policy = limiter.policy(class);
            let text = format!("\"{}\";q={};w={}", class.name(), policy.quota, seconds(policy.window));
            HeaderValue::try_from(text).ok()
        });
        Self {
            limiter,
            trusted_proxies,
            policies,
        }
    }
}

/// Takes the limit's headers over into the answer that replaces another.
pub(super) fn keep_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [&RATE_LIMIT, &RATE_LIMIT_POLICY] {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// Decides on one request, and tells of the decision in its answer.
pub(super) async fn limit(
    (class, access): (Class, Access),
    place: Option<&HeldPlace>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let Some(limits) = request.app_data::<Data<Limits>>().cloned() else {
        return next.call(request).await;
    };
    let Some((class, subject)) = counted(class, access, &request, &limits).await else {
        return next.call(request).await;
    };
    let decision = limits.limiter.check(class, subject).await;
    let mut response = match decision.verdict {
        Verdict::Refuse(after) => {
            Span::current().record("waypost.limit.refused", class.name());
            let problem = Problem::new(&kinds::RATE_LIMITED).retry_after(Duration::from_secs(seconds(after)));
            request.error_response(problem)
        }
        Verdict::Wait(turn) => match wait(turn, place).await {
            Ok(()) => next.call(request).await?,
            Err(problem) => request.error_response(problem),
        },
        Verdict::Pass => next.call(request).await?,
    };
    tell(response.headers_mut(), &limits, class, &decision);
    Ok(response)
}

/// Waits for the request's turn, without its place.
async fn wait(turn: Duration, place: Option<&HeldPlace>) -> Result<(), Problem> {
    let Some(place) = place else {
        tokio::time::sleep(turn).await;
        return Ok(());
    };
    place.leave();
    tokio::time::sleep(turn).await;
    place.take_again(Instant::now())
}

/// What a request counts towards, and for whom; `None` when for nobody.
async fn counted(class: Class, access: Access, request: &ServiceRequest, limits: &Limits) -> Option<(Class, Subject)> {
    let source = || Subject::source(source(request, &limits.trusted_proxies));
    if !class.counts_people() {
        return Some((class, source()));
    }
    if access == Access::Anyone {
        return Some((Class::Public, source()));
    }
    // The extractors refuse who has none.
    let token = any_token(request.request())?;
    let verified = verify(request.request(), &token).await;
    let counted = match &verified {
        Ok(claims) => Some((class, Subject::Person(claims.sub))),
        Err(problem) if problem.kind() == &kinds::UNAUTHORIZED => Some((Class::Public, source())),
        // There is no key to verify with.
        Err(_) => None,
    };
    request.extensions_mut().insert(Verified(verified));
    counted
}

fn tell(headers: &mut HeaderMap, limits: &Limits, class: Class, decision: &Decision) {
    let (remaining, reset) = match decision.verdict {
        Verdict::Refuse(after) => (0, after),
        Verdict::Pass | Verdict::Wait(_) => (decision.remaining, decision.whole_after),
    };
    let (mut of_remaining, mut of_reset) = (itoa::Buffer::new(), itoa::Buffer::new());
    let state = [
        "\"",
        class.name(),
        "\";r=",
        of_remaining.format(remaining),
        ";t=",
        of_reset.format(seconds(reset)),
    ];
    if let Ok(state) = HeaderValue::from_maybe_shared(Bytes::from(state.concat())) {
        headers.insert(RATE_LIMIT.clone(), state);
    }
    if let Some(policy) = &limits.policies[class as usize] {
        headers.insert(RATE_LIMIT_POLICY.clone(), policy.clone());
    }
}

/// Whole seconds, rounded up and at least one: who comes after them is not too early.
fn seconds(span: Duration) -> u64 {
    span.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}
