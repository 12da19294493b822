//! The layer that holds the rate limits, around each route: its row says which class it counts towards.
//!
//! Reads and writes count for whom the token names, everything else for the source. Who shows no token where one is wanted is
//! refused as ever, and counts for nobody; a token that is no good counts for its source as what is public does, so that
//! guessing has an end. A request that waits for its turn in a leaky bucket waits here, outside of every bulkhead.
//!
//! Answers carry `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 has them; a refusal is 429 with
//! `Retry-After`, and its `t` is the same. The partition key is left out: it would be a person or an address.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, Route};
use tracing::Span;

use super::caller::{Verified, any_token, verify};
use super::describe::Access;
use super::source::source;
use super::{Problem, kinds};
use crate::config::Networks;
use crate::limits::{Class, Decision, Limiter, Subject, Verdict};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the layer needs: register it as `app_data`.
pub(super) struct Limits {
    pub(super) limiter: Limiter,
    pub(super) trusted_proxies: Networks,
}

/// A route that counts towards `class`, and that `access` may call.
pub(super) fn limited(route: Route, class: Class, access: Access) -> Route {
    route.wrap(from_fn(move |request, next| limit(class, access, request, next)))
}

/// Takes the limit's headers over into the answer that replaces another.
pub(super) fn keep_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [&RATE_LIMIT, &RATE_LIMIT_POLICY] {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

async fn limit(
    class: Class,
    access: Access,
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
        Verdict::Wait(turn) => {
            tokio::time::sleep(turn).await;
            next.call(request).await?
        }
        Verdict::Pass => next.call(request).await?,
    };
    tell(response.headers_mut(), &limits.limiter, class, &decision);
    Ok(response)
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

fn tell(headers: &mut HeaderMap, limiter: &Limiter, class: Class, decision: &Decision) {
    let (name, policy) = (class.name(), limiter.policy(class));
    let (remaining, reset) = match decision.verdict {
        Verdict::Refuse(after) => (0, after),
        Verdict::Pass | Verdict::Wait(_) => (decision.remaining, decision.whole_after),
    };
    let state = format!("\"{name}\";r={remaining};t={}", seconds(reset));
    let policy = format!("\"{name}\";q={};w={}", policy.quota, seconds(policy.window));
    for (name, value) in [(&RATE_LIMIT, state), (&RATE_LIMIT_POLICY, policy)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name.clone(), value);
        }
    }
}

/// Whole seconds, rounded up and at least one: who comes after them is not too early.
fn seconds(span: Duration) -> u64 {
    span.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}
