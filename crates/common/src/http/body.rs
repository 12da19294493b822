//! A body's bytes, within the bounds of all bodies.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpMessage, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, poll};
use tokio::time::timeout;

use super::encoding::Encoding;
use super::held_place::HeldPlace;
use super::{Problem, kinds};

/// Largest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes the body, which may come as any of these media types and packed; it is read when this is awaited.
pub(super) fn body(
    request: &HttpRequest,
    payload: &mut Payload,
    media_types: &[&str],
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    let headers = match refuse_by_headers(request, media_types) {
        Some(problem) => Err(problem),
        None => Encoding::of(request),
    };
    let mut payload = payload.take();
    let place = request.extensions().get::<HeldPlace>().cloned();
    async move {
        let encoding = headers?;
        let mut reading = pin!(timeout(BODY_TIMEOUT, read(&mut payload)));
        let too_late = |_| Problem::new(&kinds::REQUEST_TIMEOUT);
        let bytes = match (poll!(reading.as_mut()), place) {
            (Poll::Ready(bytes), _) => bytes.map_err(too_late)??,
            (Poll::Pending, None) => reading.await.map_err(too_late)??,
            (Poll::Pending, Some(place)) => {
                place.leave();
                let bytes = reading.await.map_err(too_late)??;
                place.take_again(Instant::now())?;
                bytes
            }
        };
        encoding.unpack(bytes.freeze(), MAX_BODY_BYTES)
    }
}

fn refuse_by_headers(request: &HttpRequest, media_types: &[&str]) -> Option<Problem> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !media_types.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        let known = format!("Send `Content-Type: {}`.", media_types.join("` or `"));
        return Some(Problem::new(&kinds::UNSUPPORTED_MEDIA_TYPE).detail(known));
    }
    let length = request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse::<u64>()
        .ok()?;
    (length > MAX_BODY_BYTES as u64).then(|| Problem::new(&kinds::TOO_LARGE))
}

async fn read(payload: &mut Payload) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(&kinds::BAD_REQUEST).detail("The body broke off."))?;
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Problem::new(&kinds::TOO_LARGE));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
