//! The layer that holds the rate limits, around each route: its row says which class it counts towards.
//!
//! Reads and writes count for whom the token names, everything else for the source. A request without a token, where one
//! is wanted, is refused as ever and counts for nobody. A token that is no good counts for its source, as public requests
//! do, so that guessing has an end: once a source has used that up, only tokens that were verified before are taken from
//! it. A request that waits, for its turn in a leaky bucket or for a look for newer keys, waits here, outside of every
//! bulkhead and without its place under the concurrency limit.
//!
//! Answers carry `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 has them. A refusal is 429;
//! its `Retry-After` is the `t` of `RateLimit`. The partition key is left out: it would be a person or an address.

use std::future::Future;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use futures_util::future::Either;
use tracing::Span;

use super::caller::{Verified, any_token, remembered, verify};
use super::describe::Access;
use super::held_place::HeldPlace;
use super::source::source;
use super::{Problem, kinds};
use crate::limits::{Class, Decision, Limiter, Subject, Verdict};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the layer needs: register it as `app_data`.
pub(super) struct Limits {
    limiter: Limiter,
    /// What `RateLimit-Policy` says, by class.
    policies: [Option<HeaderValue>; Class::ALL.len()],
}

impl Limits {
    pub(super) fn new(limiter: Limiter) -> Self {
        let policies = Class::ALL.map(|class| {
            let policy = limiter.policy(class);
            let text = format!("\"{}\";q={};w={}", class.name(), policy.quota, seconds(policy.window));
            HeaderValue::try_from(text).ok()
        });
        Self { limiter, policies }
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
    let (class, subject) = match counted((class, access), place, &request, &limits).await {
        Ok(Some(counted)) => counted,
        Ok(None) => return next.call(request).await,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let decision = limits.limiter.check(class, subject).await;
    let mut response = match decision.verdict {
        Verdict::Refuse(after) => {
            Span::current().record("waypost.limit.refused", class.name());
            let problem = Problem::new(&kinds::RATE_LIMITED).retry_after(Duration::from_secs(seconds(after)));
            request.error_response(problem)
        }
        Verdict::Wait(turn) => match without(place, tokio::time::sleep(turn)).await {
            Ok(()) => next.call(request).await?,
            Err(problem) => request.error_response(problem),
        },
        Verdict::Pass => next.call(request).await?,
    };
    tell(response.headers_mut(), &limits, class, &decision);
    Ok(response)
}

/// Waits for something that loads nothing here, without the request's place.
async fn without<T>(place: Option<&HeldPlace>, awaited: impl Future<Output = T>) -> Result<T, Problem> {
    let Some(place) = place else {
        return Ok(awaited.await);
    };
    place.leave();
    let done = awaited.await;
    place.take_again(Instant::now())?;
    Ok(done)
}

/// What a request counts towards, and for whom; `None` when for nobody. A problem when its place was lost meanwhile.
async fn counted(
    (class, access): (Class, Access),
    place: Option<&HeldPlace>,
    request: &ServiceRequest,
    limits: &Limits,
) -> Result<Option<(Class, Subject)>, Problem> {
    let source = || Subject::source(source(request.request()));
    if !class.counts_people() {
        return Ok(Some((class, source())));
    }
    if access == Access::Anyone {
        return Ok(Some((Class::Public, source())));
    }
    // The extractors refuse who has none.
    let Some(token) = any_token(request.request()) else {
        return Ok(None);
    };
    let verified = match remembered(request.request(), &token) {
        Some(known) => known,
        None if limits.limiter.is_used_up(Class::Public, source()) => return Ok(Some((Class::Public, source()))),
        None => match verify(request.request(), &token) {
            Either::Left(verified) => verified.await,
            Either::Right(look) => without(place, look).await?,
        },
    };
    let counted = match &verified {
        Ok(claims) => Some((class, Subject::Person(claims.sub))),
        Err(problem) if problem.kind() == &kinds::UNAUTHORIZED => Some((Class::Public, source())),
        // There is no key to verify with.
        Err(_) => None,
    };
    request.extensions_mut().insert(Verified(verified));
    Ok(counted)
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
