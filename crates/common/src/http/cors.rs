//! Lets pages of other origins read the answers in a browser: CORS (the Fetch standard, 3.2), by `http.allowed_origins`.
//!
//! The outermost layer, so that a page can read problems and refusals as well. A preflight is answered here: 204, whatever
//! stands behind the path. Who calls is told by the token that a page sends of its own accord, never by a cookie; so no
//! answer allows credentials, and a page of an origin that is not named learns nothing.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, TRANSFER_ENCODING, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::config::Origins;

/// The methods of the API.
const METHODS: &str = "GET, HEAD, POST, PATCH";
/// The headers that a page may send, beside those that the Fetch standard allows to every page.
const REQUEST_HEADERS: &str = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, \
                               Last-Event-ID, Traceparent, Tracestate";
/// The headers that a page may read, beside those that the Fetch standard allows to every page.
const ANSWER_HEADERS: &str = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, Cache-Status, WWW-Authenticate";
/// How long browsers may keep a preflight's answer, in seconds. Chromium takes no more than this.
const MAX_AGE: &str = "7200";

/// The layer of a surface whose answers may be read by pages of the [`Origins`] that are registered as `app_data`.
pub(super) async fn cors<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(origins) = request.app_data::<Data<Origins>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let origin = request.headers().get(ORIGIN).cloned();
    // One with a body in chunks is no browser's, and goes to where such a body is held.
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && !request.headers().contains_key(TRANSFER_ENCODING)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let response = request.into_response(HttpResponse::NoContent().finish());
        response.map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    tell(&origins, origin, is_preflight, response.headers_mut());
    Ok(response)
}

fn tell(origins: &Origins, origin: Option<HeaderValue>, is_preflight: bool, headers: &mut HeaderMap) {
    // Also without an origin: a cache must not give this answer to a page of another one.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin.filter(|origin| origins.contain(origin.as_bytes())) else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    if is_preflight {
        say(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        say(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        say(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    } else {
        say(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    }
}
