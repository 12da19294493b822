//! What stands before a route: the bound of the query, the concurrency limit, then the rate limit.
//!
//! One layer for all, since each layer puts the request's work into a box of its own.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage, Route};

use super::describe::Access;
use super::held_place::HeldPlace;
use super::limit::limit;
use super::query::bounded;
use super::shed::Gate;
use crate::limits::Class;
use crate::resilience::Outcome;

/// The path pattern of a request's route, left with the request, because actix-web would look for the route once more when
/// it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoutePath(pub(super) &'static str);

/// A route that counts towards `class`, that `access` may call, and whose requests find a place at `gate`.
pub(super) fn behind(
    route: Route,
    path: Option<RoutePath>,
    gate: Option<Gate>,
    (class, access): (Class, Access),
) -> Route {
    let gate = gate.map(Arc::new);
    route.wrap(from_fn(move |request: ServiceRequest, next| {
        if let Some(path) = path {
            request.extensions_mut().insert(path);
        }
        let gate = gate.clone();
        async move { pass(gate, (class, access), request, next).await }
    }))
}

async fn pass(
    gate: Option<Arc<Gate>>,
    (class, access): (Class, Access),
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    // Before anybody reads the query: the limit looks for a token there.
    if let Err(problem) = bounded(request.query_string()) {
        return Ok(request.error_response(problem));
    }
    let Some(gate) = gate else {
        return limit((class, access), None, request, next).await;
    };
    let place = match HeldPlace::take(gate, Instant::now()) {
        Ok(place) => place,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    if !request.method().is_safe() {
        // For whoever reads the body, or waits for somebody outside.
        request.extensions_mut().insert(place.clone());
    }
    let answered = limit((class, access), Some(&place), request, next).await;
    let is_success = answered.as_ref().is_ok_and(|answer| {
        let status = answer.status();
        status.is_success() || status.is_redirection()
    });
    let outcome = if is_success {
        Outcome::Succeeded
    } else {
        Outcome::Failed
    };
    place.finish(outcome, Instant::now());
    answered
}
