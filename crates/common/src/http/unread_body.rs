//! What becomes of a body that nobody read, because its request was answered before: mostly by a refusal.
//!
//! A short one whose length was said is read to its end, if it comes at once. Its connection then serves the next request:
//! under load a refusal costs neither the caller, nor a proxy in between, nor this process a new connection.
//!
//! After any other the connection is closed. actix does so by itself when the body has a length. A body in chunks it reads
//! on to its end, to use the connection again: for ever, if it has no end. Only when somebody still holds the body does
//! actix close that connection as well; so the answer holds it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

/// Bytes of a body that are read for nothing, at most.
const SHORT: u64 = 16 * 1024;
/// How long they are waited for: a short body comes with its head, or right behind it.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A request's body, held beside whoever reads it.
pub(super) enum HeldBody {
    Short(SharedBody),
    Chunked(SharedBody),
}

/// A body that has several holders in one thread.
#[derive(Clone)]
pub(super) struct SharedBody(Rc<RefCell<Payload>>);

impl HeldBody {
    /// Takes hold of the body; `None` where there is none, or one that is too long to be read for nothing.
    pub(super) fn hold(request: &mut ServiceRequest) -> Option<Self> {
        let hold = Self::kind(request.head())?;
        let shared = SharedBody(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream {
            payload: Box::pin(shared.clone()),
        });
        Some(hold(shared))
    }

    fn kind(head: &RequestHead) -> Option<fn(SharedBody) -> Self> {
        if head.headers.contains_key(TRANSFER_ENCODING) {
            return Some(Self::Chunked);
        }
        let length: u64 = head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
        let is_short = (1..=SHORT).contains(&length);
        // A caller who closes the connection has no use for the rest.
        (is_short && head.connection_type() != ConnectionType::Close).then_some(Self::Short)
    }

    /// Does what is to be done about what nobody read, now that there is an answer. The answer waits for it, at the most
    /// [`AT_ONCE`], and its duration was measured before.
    pub(super) async fn settle<B: MessageBody + 'static>(
        self,
        response: ServiceResponse<EitherBody<B, BoxBody>>,
    ) -> ServiceResponse<EitherBody<B, BoxBody>> {
        match self {
            Self::Chunked(body) => body.until_sent(response),
            Self::Short(body) => {
                body.read_rest().await;
                response
            }
        }
    }
}

impl SharedBody {
    /// Reads what has not been read yet. What does not come at once is left: actix closes the connection.
    async fn read_rest(mut self) {
        let rest = async { while let Some(Ok(_)) = self.next().await {} };
        timeout(AT_ONCE, rest).await.unwrap_or_default();
    }

    /// Holds the body for as long as the answer is on its way.
    fn until_sent<B: MessageBody + 'static>(
        self,
        mut response: ServiceResponse<EitherBody<B, BoxBody>>,
    ) -> ServiceResponse<EitherBody<B, BoxBody>> {
        // An answer without a body goes with its head, which drops the extensions.
        response.response_mut().extensions_mut().insert(self.clone());
        response.map_body(|_, body| match body.size() {
            BodySize::None => body,
            _ => EitherBody::right(BoxBody::new(Answer {
                body: body.boxed(),
                _held: self,
            })),
        })
    }
}

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

struct Answer {
    body: BoxBody,
    _held: SharedBody,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
