//! Whether a trace is recorded is decided once, at the edge, and followed everywhere behind it.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::TraceContext;
use super::context::fresh_context;

/// What the edge decided for one request.
#[derive(Debug)]
pub enum Sampling {
    /// Record it: open a SERVER span, under the caller's context when there is one.
    Record(Option<TraceContext>),
    /// Do not: run the request in this context, without a span, so that its ids still travel.
    Carry(Context),
}

impl Sampling {
    /// Follows the flag of a caller who is trusted; without a caller, records the share `ratio` (0 to 1) of requests. A
    /// stranger only says which trace a request belongs to, and the ratio decides: else anybody could have everything
    /// recorded, or nothing of an attack.
    pub fn decide(caller: Option<TraceContext>, ratio: f64, trusts_callers: bool) -> Self {
        let caller = match caller {
            Some(stranger) if !trusts_callers => Some(stranger.decided_here(fastrand::f64() < ratio)),
            caller => caller,
        };
        match caller {
            Some(caller) if caller.is_sampled() => Self::Record(Some(caller)),
            Some(caller) => Self::Carry(caller.to_context()),
            None if fastrand::f64() < ratio => Self::Record(None),
            None => Self::Carry(fresh_context()),
        }
    }
}

/// The SDK's sampler: a child follows its parent, a SERVER root was decided at the edge, any other
/// root (a timer, a message without a context) is recorded by the ratio.
#[derive(Debug, Clone)]
pub(super) struct HeadSampler(pub(super) f64);

impl ShouldSample for HeadSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|context| context.span().span_context().is_valid());
        let sampler = match (has_parent, kind) {
            (true, _) => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
            (false, SpanKind::Server) => Sampler::AlwaysOn,
            (false, _) => Sampler::TraceIdRatioBased(self.0),
        };
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_recorded_requests_is_the_ratio() {
        for (ratio, low, high) in [(0.0, 0, 0), (0.1, 800, 1200), (1.0, 10_000, 10_000)] {
            let recorded = (0..10_000)
                .filter(|_| matches!(Sampling::decide(None, ratio, true), Sampling::Record(_)))
                .count();
            assert!((low..=high).contains(&recorded), "{ratio}: {recorded}");
        }
    }

    #[test]
    fn the_callers_flag_beats_the_ratio() {
        let caller = |flag| {
            TraceContext::parse(
                Some(&format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flag}")),
                None,
            )
        };
        assert!(matches!(
            Sampling::decide(caller("01"), 0.0, true),
            Sampling::Record(Some(_))
        ));
        assert!(matches!(Sampling::decide(caller("00"), 1.0, true), Sampling::Carry(_)));
    }

    #[test]
    fn a_stranger_says_which_trace_it_is_and_nothing_else() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let stranger = |flag| TraceContext::parse(Some(&format!("00-{id}-b7ad6b7169203331-{flag}")), Some("vendor=1"));
        let Sampling::Carry(context) = Sampling::decide(stranger("01"), 0.0, false) else {
            panic!("a stranger had it recorded")
        };
        assert_eq!(context.span().span_context().trace_id().to_string(), id);
        let Sampling::Record(Some(context)) = Sampling::decide(stranger("00"), 1.0, false) else {
            panic!("a stranger kept it from being recorded")
        };
        assert_eq!((context.trace_id(), context.is_sampled()), (id, true));
        assert_eq!(context.tracestate, None);
    }
}
