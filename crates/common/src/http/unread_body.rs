//! Closes a connection whose request was answered before its body had come.
//!
//! actix closes it by itself when the body has a length. A body in chunks is read on to its end, to use the
//! connection again: for ever, if it has no end. Only when somebody still holds the body does actix close
//! that connection as well; so the answer holds it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// A request's body in chunks, held beside whoever reads it.
#[derive(Clone)]
pub(super) struct ChunkedBody(Rc<RefCell<Payload>>);

impl ChunkedBody {
    /// Takes hold of the body; `None` when it does not come in chunks.
    pub(super) fn hold(request: &mut ServiceRequest) -> Option<Self> {
        request.headers().get(TRANSFER_ENCODING)?;
        let held = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream {
            payload: Box::pin(held.clone()),
        });
        Some(held)
    }

    /// Holds the body for as long as the answer is on its way.
    pub(super) fn until_sent<B: MessageBody + 'static>(
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

impl Stream for ChunkedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

struct Answer {
    body: BoxBody,
    _held: ChunkedBody,
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
