//! The outer layer of an HTTP surface; only CORS stands outside of it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use opentelemetry::trace::FutureExt;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use super::Problem;
use super::door::RoutePath;
use super::limit::keep_headers;
use super::unread_body::HeldBody;
use crate::config::Service;
use crate::telemetry::{HttpLabels, Metrics, Sampling, TraceContext, scope};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where a request belongs that no route takes.
const UNMATCHED: &str = "unmatched";

/// What [`edge`] needs: register it as `app_data`.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    /// Whose surface it is.
    pub(super) service: Service,
    /// Where durations are counted.
    pub(super) metrics: Metrics,
    /// Share of new traces that are recorded.
    pub(super) sample_ratio: f64,
    /// Whether a caller's flag decides instead whether its trace is recorded.
    pub(super) trusts_callers: bool,
    /// Whether answers say how long they took (`Server-Timing`).
    pub(super) shows_timing: bool,
    /// What stands before the paths of this service where people reach it.
    pub(super) prefix: String,
}

/// Wraps a whole app (`.wrap(from_fn(edge))`): decides whether the request is recorded, continues the
/// caller's trace, counts the duration, and gives every error a problem document with the trace's id.
pub(super) async fn edge<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(edge) = request.app_data::<Data<Edge>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let started = Instant::now();
    let body = HeldBody::hold(&mut request);
    let header = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let caller = TraceContext::parse(header(&TRACEPARENT), header(&TRACESTATE));
    let method = HttpLabels::method_label(request.method().as_str());
    let result = match Sampling::decide(caller, edge.sample_ratio, edge.trusts_callers) {
        Sampling::Record(caller) => {
            let span = server_span(&request, method);
            if let Some(caller) = caller {
                caller.adopt(&span);
            }
            let work = async {
                next.call(request)
                    .await
                    .map(|response| with_problem(response, &edge.prefix))
            };
            let result = scope(edge.service, work.instrument(span.clone())).await;
            if let Ok(response) = &result {
                if let Some(path) = known_path(response.request()) {
                    span.record("url.path", path);
                }
                span.record("http.response.status_code", response.status().as_u16());
                if response.status().is_server_error() {
                    span.record("otel.status_code", "ERROR");
                }
            }
            result
        }
        Sampling::Carry(context) => {
            let work = async {
                next.call(request)
                    .await
                    .map(|response| with_problem(response, &edge.prefix))
            };
            scope(edge.service, work.with_context(context)).await
        }
    };
    let took = started.elapsed();
    let result = result.map(|response| with_prefix(response, &edge.prefix));
    let result = result.map(|response| {
        if edge.shows_timing {
            with_timing(response, took)
        } else {
            response
        }
    });
    let labels = labels(method, &result);
    edge.metrics.http_server(&labels, took);
    match body {
        Some(body) => Ok(body.settle(result?).await),
        None => result,
    }
}

/// The labels are made from the answer, because its request has been through the routing by then.
fn labels<B>(method: &'static str, result: &Result<ServiceResponse<B>, Error>) -> HttpLabels {
    let route = result.as_ref().ok().and_then(|response| route(response.request()));
    HttpLabels {
        http_request_method: method.into(),
        http_route: route.unwrap_or(Cow::Borrowed(UNMATCHED)),
        http_response_status_code: result.as_ref().map_or(0, |response| response.status().as_u16()),
    }
}

fn route(request: &HttpRequest) -> Option<Cow<'static, str>> {
    let taken = request.extensions().get::<RoutePath>().copied();
    match taken {
        Some(RoutePath(path)) => Some(Cow::Borrowed(path)),
        // What has no row comes here: a document, or another method of a path.
        None => request.match_pattern().map(Cow::Owned),
    }
}

fn server_span(request: &ServiceRequest, method: &str) -> tracing::Span {
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or(UNMATCHED);
    // Without the path, which is known only when there is an answer, and without the query: it may hold a token.
    tracing::info_span!(
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.path = Empty,
        http.response.status_code = Empty,
        waypost.cache.layer = Empty,
        waypost.cache.reason = Empty,
        waypost.cache.ttl = Empty,
        waypost.limit.refused = Empty,
        waypost.shed.priority = Empty,
    )
}

/// The path of a request whose variable parts are all ids. Anything else may be an address, a token, or without end.
fn known_path(request: &HttpRequest) -> Option<&str> {
    request.match_pattern()?;
    let mut parts = request.match_info().iter();
    parts
        .all(|(_, part)| Uuid::parse_str(part).is_ok())
        .then(|| request.path())
}

/// Replaces the body of a failure by a problem document that knows the request.
fn with_problem<B: MessageBody>(
    mut response: ServiceResponse<B>,
    prefix: &str,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff.clone());
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response.map_into_left_body();
    }
    let cause = response.response().error();
    let problem = cause.and_then(|error| error.as_error::<Problem>()).cloned();
    if problem.is_none() && is_problem(response.headers()) {
        return response.map_into_left_body();
    }
    if let (None, Some(cause), true) = (&problem, cause, status.is_server_error()) {
        tracing::error!(error = %cause, "a request failed");
    }
    let problem = problem.unwrap_or_else(|| Problem::of_status(status));
    let trace = TraceContext::current();
    let mut rendered = problem.render(prefix, Some(response.request().path()), Some(trace.trace_id()));
    rendered.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    keep_headers(response.headers(), rendered.headers_mut());
    response.into_response(rendered).map_into_right_body()
}

/// Has `Location` lead to where people reach the service.
fn with_prefix<B>(mut response: ServiceResponse<B>, prefix: &str) -> ServiceResponse<B> {
    if prefix.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    let path = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let led = path
        .filter(|path| path.starts_with('/'))
        .and_then(|path| HeaderValue::try_from([prefix, path].concat()).ok());
    if let Some(led) = led {
        headers.insert(LOCATION, led);
    }
    response
}

/// Says how long the answer took to begin (W3C Server Timing): a browser's tools draw it.
fn with_timing<B>(mut response: ServiceResponse<B>, took: Duration) -> ServiceResponse<B> {
    let value = HeaderValue::try_from(format!("app;dur={:.1}", took.as_secs_f64() * 1000.0));
    if let Ok(value) = value {
        response.headers_mut().insert(SERVER_TIMING.clone(), value);
    }
    response
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/problem+json"))
}
