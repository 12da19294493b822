//! Tells a connection when a request upon it is being answered, and when its answer is at its end.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::{Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;

use crate::state::{Answering, State};

/// An app whose connections are told.
pub(crate) struct Told<F, B> {
    app: F,
    body: PhantomData<fn() -> B>,
}

impl<F, B> Told<F, B> {
    pub(crate) fn new(app: F) -> Self {
        Self { app, body: PhantomData }
    }
}

impl<F, B> ServiceFactory<Request> for Told<F, B>
where
    F: ServiceFactory<Request, Config = ()>,
    F::Future: 'static,
    F::Response: Into<Response<B>>,
    B: MessageBody,
{
    type Response = Response<ToldBody<B>>;
    type Error = F::Error;
    type Config = ();
    type Service = ToldService<F::Service, B>;
    type InitError = F::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, F::InitError>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let service = self.app.new_service(());
        Box::pin(async move {
            Ok(ToldService {
                service: service.await?,
                body: PhantomData,
            })
        })
    }
}

pub(crate) struct ToldService<S, B> {
    service: S,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Service<Request> for ToldService<S, B>
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
    B: MessageBody,
{
    type Response = Response<ToldBody<B>>;
    type Error = S::Error;
    type Future = ToldFuture<S::Future, B>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: Request) -> Self::Future {
        ToldFuture {
            answering: request.conn_data::<State>().map(|state| state.begin(&request)),
            answer: self.service.call(request),
            body: PhantomData,
        }
    }
}

pin_project! {
    pub(crate) struct ToldFuture<F, B> {
        #[pin]
        answer: F,
        answering: Option<Answering>,
        body: PhantomData<fn() -> B>,
    }
}

impl<F, R, E, B> Future for ToldFuture<F, B>
where
    F: Future<Output = Result<R, E>>,
    R: Into<Response<B>>,
{
    type Output = Result<Response<ToldBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        let answering = this.answering.take();
        Poll::Ready(answer.map(|answer| answer.into().map_body(|_, body| ToldBody { body, answering })))
    }
}

pin_project! {
    /// The body of an answer, at whose end its connection is told.
    pub(crate) struct ToldBody<B> {
        #[pin]
        body: B,
        answering: Option<Answering>,
    }
}

impl<B: MessageBody> MessageBody for ToldBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.project().body.poll_next(cx)
    }
}
