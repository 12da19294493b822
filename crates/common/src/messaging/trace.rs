//! The spans of a message's way, and the trace context that they run in. Their fields are named by OpenTelemetry's semantic
//! conventions for messaging, as far as those have a name.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::TraceContextExt;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::TraceContext;

/// The span of one publish. Its parent is set by [`continuing`].
pub(super) fn producer(system: &str, destination: &str, kind: &str, id: &str) -> Span {
    info_span!(
        parent: None,
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = system,
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = destination,
        messaging.message.id = id,
        messaging.message.type = kind,
    )
}

/// The span of one attempt to process a message. Its parent is set by [`continuing`].
pub(super) fn consumer(system: &str, queue: &str, kind: &str, id: &str) -> Span {
    info_span!(
        parent: None,
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = system,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.message.id = id,
        messaging.message.type = kind,
    )
}

/// The span of a dead letter's way back into its queue on the broker `system`. It begins a trace of its own, which links to
/// the message's `first` one.
pub(super) fn replay((system, queue): (&str, &str), (kind, id): (&str, &str), first: Option<&TraceContext>) -> Span {
    let span = info_span!(
        parent: None,
        "replay",
        otel.name = format!("replay {queue}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = system,
        messaging.operation.name = "replay",
        messaging.operation.type = "send",
        messaging.destination.name = queue,
        messaging.message.id = id,
        messaging.message.type = kind,
    );
    if let Some(first) = first {
        span.add_link(first.to_context().span().span_context().clone());
    }
    span
}

/// Runs `work` as a child of `parent`, in the span that `span` makes.
///
/// A parent that is not sampled gets no span, but its context still surrounds `work` and so
/// travels on. Without a parent the span begins a trace.
pub(super) fn continuing<F: Future>(
    parent: Option<&TraceContext>,
    span: impl FnOnce() -> Span,
    work: F,
) -> impl Future<Output = F::Output> {
    let span = match parent {
        Some(parent) if !parent.is_sampled() => Span::none(),
        Some(parent) => {
            let span = span();
            parent.adopt(&span);
            span
        }
        None => span(),
    };
    let context = parent.map_or_else(Context::new, TraceContext::to_context);
    work.instrument(span).with_context(context)
}

/// Marks the current span as failed.
pub(super) fn failed() {
    Span::current().record("otel.status_code", "ERROR");
}
