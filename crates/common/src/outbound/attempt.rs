//! One try of a call: its time, its span, its trace header, its metric.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderValue};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Middleware, Next, Result};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use super::answer::leaves_open;
use super::deadline::Deadline;
use super::decisions::{Decision, Decisions};
use super::heard::{Heard, Said};
use super::{Destination, OutboundError};
use crate::telemetry::{HttpLabels, Metrics, TraceContext};

/// Innermost layer: one try, with its timeout, its CLIENT span, its trace header and its metric.
///
/// The answer is read here, so that a body that drips or never ends is the try's failure, which
/// the breaker sees, and not the caller's.
pub(super) struct AttemptLayer {
    name: Arc<str>,
    try_timeout: Duration,
    stall_timeout: Duration,
    answer_limit: usize,
    metrics: Metrics,
    decisions: Decisions,
}

/// The tries of one call that were made, in its request's extensions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tries {
    pub(super) made: u32,
    /// How long the last one took, without what it waited for its turn.
    pub(super) last_took: Duration,
    /// Whether one of them may have been received, and nothing was heard of what became of it.
    pub(super) may_be_received: bool,
    /// Whether that was so before the last one.
    pub(super) is_after_unknown: bool,
}

#[async_trait]
impl Middleware for AttemptLayer {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let Tries {
            made: before,
            may_be_received,
            ..
        } = extensions.get().copied().unwrap_or_default();
        let method = HttpLabels::method_label(request.method().as_str());
        let span = self.span(&request, before);
        span.in_scope(|| inject(&mut request));
        if let Some(heard) = extensions.get::<Heard>() {
            heard.begin();
        }
        let left = Deadline::left(extensions).unwrap_or(self.try_timeout);
        let began = Instant::now();
        // The request leaves this future here: what is awaited below is moved around without it.
        let answering = next.run(request, extensions);
        let outcome = self.attempt(answering, left).instrument(span.clone()).await;
        let took = began.elapsed();
        extensions.insert(Tries {
            made: before + 1,
            last_took: took,
            may_be_received: may_be_received || may_have_arrived(&outcome),
            is_after_unknown: may_be_received,
        });
        if let Some(heard) = extensions.get::<Heard>() {
            heard.note(match &outcome {
                Ok((answer, body)) => Said::answered(answer.status(), body),
                Err(error) => Said::nothing(error),
            });
        }
        let outcome = outcome.map(|(answer, _)| answer);
        let status = outcome.as_ref().map_or(0, |answer| answer.status().as_u16());
        close(&span, &outcome, status);
        let labels = HttpLabels {
            http_request_method: method.into(),
            http_route: self.name.to_string().into(),
            http_response_status_code: status,
        };
        self.metrics.http_client(&labels, took);
        outcome.map_err(Into::into)
    }
}

impl AttemptLayer {
    pub(super) fn new(destination: &Destination, metrics: Metrics, decisions: Decisions) -> Self {
        Self {
            name: Arc::clone(&destination.name),
            try_timeout: destination.try_timeout,
            stall_timeout: destination.stall_timeout,
            answer_limit: destination.answer_limit,
            metrics,
            decisions,
        }
    }

    /// Waits for the whole answer, for the time of a try at most, and no longer than the call has `left`.
    async fn attempt(
        &self,
        answering: impl Future<Output = Result<Response>>,
        left: Duration,
    ) -> std::result::Result<(Response, Bytes), OutboundError> {
        let after = self.try_timeout.min(left);
        let call = async {
            let answer = answering.await.map_err(OutboundError::unwrap_from)?;
            self.read(answer).await
        };
        if let Ok(outcome) = tokio::time::timeout(after, call).await {
            return outcome;
        }
        self.decisions.note(if after < self.try_timeout {
            Decision::DeadlinePassed
        } else {
            Decision::TryTimedOut
        });
        Err(OutboundError::Timeout { after })
    }

    /// Reads the body, `answer_limit` at most, and puts the answer together again around it.
    async fn read(&self, mut answer: Response) -> std::result::Result<(Response, Bytes), OutboundError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.next_piece(&mut answer).await? {
            if body.len() + chunk.len() > self.answer_limit {
                self.decisions.note(Decision::AnswerTooLarge);
                return Err(OutboundError::TooLarge {
                    limit: self.answer_limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        // Without its address reqwest would parse one that it makes up.
        let whole = http::Response::builder().url(answer.url().clone()).body(body.clone());
        let mut whole = whole.unwrap_or_else(|_| http::Response::new(body.clone()));
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok((Response::from(whole), body))
    }

    async fn next_piece(&self, answer: &mut Response) -> std::result::Result<Option<Bytes>, OutboundError> {
        if let Ok(piece) = tokio::time::timeout(self.stall_timeout, answer.chunk()).await {
            return piece.map_err(OutboundError::of_reqwest);
        }
        self.decisions.note(Decision::AnswerStalled);
        Err(OutboundError::Stalled {
            after: self.stall_timeout,
        })
    }

    /// Named by the method alone: a path has ids, a query may have secrets.
    fn span(&self, request: &Request, before: u32) -> Span {
        let url = request.url();
        info_span!(
            "http_client",
            otel.name = request.method().as_str(),
            otel.kind = "client",
            otel.status_code = Empty,
            peer.service = &*self.name,
            http.request.method = request.method().as_str(),
            http.request.resend_count = (before > 0).then_some(before),
            http.response.status_code = Empty,
            server.address = url.host_str().unwrap_or_default(),
            server.port = url.port_or_known_default(),
            error.r#type = Empty,
        )
    }
}

/// Whether a try may have been received, and nothing was heard of what became of it.
fn may_have_arrived(outcome: &std::result::Result<(Response, Bytes), OutboundError>) -> bool {
    match outcome {
        Ok((answer, _)) => leaves_open(answer.status()),
        Err(error) => error.may_be_received(),
    }
}

fn close(span: &Span, outcome: &std::result::Result<Response, OutboundError>, status: u16) {
    if status != 0 {
        span.record("http.response.status_code", status);
    }
    let error = match outcome {
        Ok(answer) if answer.status().is_client_error() || answer.status().is_server_error() => {
            answer.status().as_str().to_owned()
        }
        Ok(_) => return,
        Err(error) => error.kind().to_owned(),
    };
    span.record("error.type", error);
    span.record("otel.status_code", "ERROR");
}

/// Hands the current context on to the destination.
fn inject(request: &mut Request) {
    let context = TraceContext::current();
    let headers = request.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&context.traceparent) {
        headers.insert("traceparent", value);
    }
    if let Some(Ok(value)) = context.tracestate.as_deref().map(HeaderValue::from_str) {
        headers.insert("tracestate", value);
    }
}
