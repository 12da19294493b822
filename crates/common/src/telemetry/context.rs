//! Carries a trace across what has no HTTP request: a row, a message.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
/// Length of a `traceparent` of version 00.
const TRACEPARENT_BYTES: usize = 55;
const TRACESTATE: &str = "tracestate";
/// Longest `tracestate` that is carried on, in bytes; W3C asks for at least 512 characters. A longer one is dropped.
const MAX_TRACESTATE: usize = 512;

/// Where a trace stands, in the form in which it crosses a border (W3C Trace Context, level 1).
///
/// It is always written, with flag 00 when the trace is not sampled: a receiver without a context would begin a trace of its
/// own in the middle of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// `00-<trace id>-<span id>-<flags>`
    pub traceparent: String,
    /// Other vendors' part, carried on as it came.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// The context that the calling code runs in; a fresh, unsampled one when it runs in none.
    pub fn current() -> Self {
        Self::of(&Context::current())
    }

    /// The context of `span`, which need not be entered.
    pub fn of_span(span: &Span) -> Self {
        Self::of(&span.context())
    }

    /// Reads what arrived; `None` when there is nothing or it breaks the specification.
    pub fn parse(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        let traceparent = traceparent?;
        // The propagator pads short ids; W3C's are of fixed length.
        let lengths = traceparent.split('-').map(str::len);
        if !lengths.take(4).eq([2, 32, 16, 2]) {
            return None;
        }
        let mut carried = Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate
                .filter(|state| state.len() <= MAX_TRACESTATE)
                .map(str::to_owned),
        };
        if !carried.to_context().span().span_context().is_valid() {
            return None;
        }
        // A later version may have more behind the flags; what goes on from here is of version 00.
        carried.traceparent.truncate(TRACEPARENT_BYTES);
        carried.traceparent.replace_range(..2, "00");
        Some(carried)
    }

    /// As OpenTelemetry's own context, remote.
    pub fn to_context(&self) -> Context {
        let mut carrier = HashMap::from([(TRACEPARENT.to_owned(), self.traceparent.clone())]);
        carrier.extend(self.tracestate.clone().map(|state| (TRACESTATE.to_owned(), state)));
        TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
    }

    /// The 32 hexadecimal digits that name the trace.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.to_context().span().span_context().is_sampled()
    }

    /// The same trace, recorded or not as `is_sampled` says, and without the caller's `tracestate`.
    pub(super) fn decided_here(mut self, is_sampled: bool) -> Self {
        let flags = self.traceparent.len() - 2;
        self.traceparent
            .replace_range(flags.., if is_sampled { "01" } else { "00" });
        self.tracestate = None;
        self
    }

    /// Makes this the parent of `span`, which nobody has entered yet.
    pub fn adopt(&self, span: &Span) {
        if let Err(error) = span.set_parent(self.to_context()) {
            // Without a span layer (a unit test, spans filtered out) there is nothing to continue.
            tracing::trace!(?error, "the span takes no parent");
        }
    }

    /// A new, unsampled context.
    pub fn fresh() -> Self {
        Self::of(&fresh_context())
    }

    fn of(context: &Context) -> Self {
        let span = context.span();
        if span.span_context().is_valid() {
            Self::written(span.span_context())
        } else {
            Self::written(fresh_context().span().span_context())
        }
    }

    /// As OpenTelemetry's propagator writes it, without the map of strings that it would write into.
    fn written(span: &SpanContext) -> Self {
        let (trace, own, flags) = (
            span.trace_id(),
            span.span_id(),
            span.trace_flags() & TraceFlags::SAMPLED,
        );
        Self {
            traceparent: format!("00-{trace}-{own}-{flags:02x}"),
            tracestate: Some(span.trace_state().header()).filter(|state| !state.is_empty()),
        }
    }
}

/// Whether the calling code runs within a trace that is recorded.
pub(crate) fn is_recorded() -> bool {
    Context::map_current(|context| context.span().span_context().is_sampled())
}

/// A context with new ids that is not recorded, and yet travels.
pub(super) fn fresh_context() -> Context {
    let ids = RandomIdGenerator::default();
    Context::new().with_remote_span_context(SpanContext::new(
        ids.new_trace_id(),
        ids.new_span_id(),
        TraceFlags::default(),
        false,
        TraceState::default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn outside_of_any_trace_there_is_still_a_valid_unsampled_one() {
        let context = TraceContext::current();
        assert!(TraceContext::parse(Some(&context.traceparent), None).is_some());
        assert!(!context.is_sampled());
    }

    #[test]
    fn a_context_survives_the_round_trip() {
        let context = TraceContext::parse(Some(PARENT), Some("vendor=1")).unwrap();
        let _guard = context.to_context().attach();
        assert_eq!(TraceContext::current(), context);
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn it_is_written_as_the_propagator_writes_it() {
        for (traceparent, tracestate) in [(PARENT, "vendor=1,other=2"), (&PARENT.replace("-01", "-00"), "")] {
            let context = TraceContext::parse(Some(traceparent), Some(tracestate))
                .unwrap()
                .to_context();
            let mut carrier = HashMap::new();
            TraceContextPropagator::new().inject_context(&context, &mut carrier);
            let written = TraceContext::of(&context);
            assert_eq!(carrier[TRACEPARENT], written.traceparent);
            assert_eq!(carrier[TRACESTATE], written.tracestate.unwrap_or_default());
        }
    }

    #[test]
    fn what_breaks_the_specification_is_no_context() {
        for bad in [
            "",
            "garbage",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7-b7-01",
        ] {
            assert_eq!(TraceContext::parse(Some(bad), None), None, "{bad}");
        }
    }

    #[test]
    fn of_a_later_version_only_what_is_known_goes_on() {
        let later = format!("01{}-00", &PARENT[2..]);
        let context = TraceContext::parse(Some(&later), None).unwrap();
        assert_eq!(context.traceparent, PARENT);
        assert!(!context.decided_here(false).is_sampled());
    }
}
