//! The one way out for every provider: record the request, then answer as the faults say.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use connections::{Guarded, Hold, PATIENCE};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::callbacks::Message;
use crate::faults::{Mode, What};
use crate::requests::Recorded;
use crate::state::State;
use crate::target::Asked;

/// How long a hanging answer takes: longer than any caller waits. A 503 ends it.
const HANG: Duration = Duration::from_mins(10);
/// Pause before each byte of a dripping answer.
const DRIP: Duration = Duration::from_millis(250);
/// An endless answer: the bytes of a piece, and the pause before each, so that it fills buffers and not the machine.
const ENDLESS: (usize, Duration) = (16 * 1024, Duration::from_millis(5));
const GARBAGE: &[u8] = b"\xff\xfe{\"sid\": \x00 not what you hoped for <html>";

/// What a provider answers when all is well (which may be a refusal of a bad request).
pub(crate) struct Success {
    status: StatusCode,
    content_type: ContentType,
    body: Bytes,
    /// A message of which more is told later.
    message: Option<Message>,
}

impl Success {
    pub(crate) fn new(status: StatusCode, content_type: ContentType, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            body,
            message: None,
        }
    }

    pub(crate) fn json(status: StatusCode, json: &serde_json::Value) -> Self {
        Self::new(status, ContentType::json(), json.to_string().into())
    }

    /// Where this success is answered without a fault, callbacks tell later what becomes of `message`.
    pub(crate) fn followed_by(self, message: Option<Message>) -> Self {
        Self { message, ..self }
    }
}

/// Records the request and answers it.
pub(crate) async fn answer(
    state: &State,
    asked: Asked,
    request: &HttpRequest,
    body: &[u8],
    success: Success,
) -> HttpResponse {
    let verdict = state.faults.verdict(&asked, rand::random(), Instant::now());
    state.requests.push(Recorded::new(
        asked,
        request,
        body,
        verdict.what,
        success.status.as_u16(),
    ));
    let is_slow = verdict.latency >= PATIENCE / 2 || matches!(verdict.what, What::Misbehave(Mode::Hang));
    if let (true, Some(connection)) = (is_slow, request.conn_data::<Hold>()) {
        connection.keep();
    }
    pause(verdict.latency, &state.stopping).await;
    match verdict.what {
        What::Succeed => {
            if let Some(message) = success.message {
                state.callbacks.follow(message, verdict.callback);
            }
            HttpResponse::build(success.status)
                .insert_header(success.content_type)
                .body(success.body)
        }
        What::Fail { status, retry_after_s } => fail(status, retry_after_s),
        What::Misbehave(mode) => misbehave(mode, success, request, &state.stopping).await,
    }
}

fn fail(status: u16, retry_after_s: Option<u64>) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = retry_after_s {
        response.insert_header((RETRY_AFTER, seconds));
    }
    let code = if status == StatusCode::TOO_MANY_REQUESTS {
        20429
    } else {
        20500
    };
    response.json(json!({"code": code, "message": "the sandbox was told to fail", "status": status.as_u16()}))
}

async fn misbehave(mode: Mode, success: Success, request: &HttpRequest, stopping: &CancellationToken) -> HttpResponse {
    let mut response = HttpResponse::build(success.status);
    response.insert_header(success.content_type);
    match mode {
        Mode::None => response.body(success.body),
        Mode::Garbage => response.body(GARBAGE),
        Mode::Drip => response.streaming(until(stopping.clone(), drip(success.body))),
        Mode::Endless => response.streaming(until(stopping.clone(), endless())),
        Mode::Hang => {
            pause(HANG, stopping).await;
            HttpResponse::ServiceUnavailable().finish()
        }
        Mode::Reset => {
            if let Some(wire) = request.conn_data::<Wire>() {
                wire.reset_when_closed();
            }
            let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("reset on purpose"))]);
            response.streaming(broken)
        }
    }
}

type Piece = Result<Bytes, std::io::Error>;

fn drip(body: Bytes) -> impl Stream<Item = Piece> {
    stream::iter(0..body.len()).then(move |at| {
        let byte = body.slice(at..=at);
        async move {
            tokio::time::sleep(DRIP).await;
            Ok(byte)
        }
    })
}

fn endless() -> impl Stream<Item = Piece> {
    let (size, pause) = ENDLESS;
    let piece = Bytes::from(vec![b' '; size]);
    stream::repeat(piece).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok(piece)
    })
}

fn until(stopping: CancellationToken, pieces: impl Stream<Item = Piece>) -> impl Stream<Item = Piece> {
    pieces.take_until(stopping.cancelled_owned())
}

async fn pause(span: Duration, stopping: &CancellationToken) {
    if span.is_zero() {
        return;
    }
    tokio::select! {
        () = tokio::time::sleep(span) => {}
        () = stopping.cancelled() => {}
    }
}

/// A second handle on a connection's socket, by which its options can be set from a handler.
struct Wire(OwnedFd);

impl Wire {
    /// From now on, closing the connection sends RST instead of FIN.
    fn reset_when_closed(&self) {
        let set = || -> std::io::Result<()> {
            let socket = std::net::TcpStream::from(self.0.try_clone()?);
            tokio::net::TcpStream::from_std(socket)?.set_zero_linger()
        };
        if let Err(error) = set() {
            tracing::warn!(%error, "the connection will be closed, not reset");
        }
    }
}

/// Keeps the handle with each connection.
pub(crate) fn remember_wire(connection: &Guarded, data: &mut Extensions) {
    data.insert(connection.hold());
    if let Ok(socket) = connection.socket().as_fd().try_clone_to_owned() {
        data.insert(Wire(socket));
    }
}
