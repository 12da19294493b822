//! What the layers decide, counted and shown in the span of the call.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use crate::telemetry::Metrics;

/// What a layer decided about one call. A call that just passes needs no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    DeadlinePassed,
    Retried,
    RetriesUsedUp,
    RetryHasNoTime,
    RetryBudgetSpent,
    RetryMeetsBreaker,
    BreakerRefused,
    Paused,
    RateWaited,
    RateRefused,
    PlaceWaited,
    PlaceRefused,
    TryTimedOut,
    AnswerStalled,
    AnswerTooLarge,
}

impl Decision {
    const ALL: [Self; 15] = [
        Self::DeadlinePassed,
        Self::Retried,
        Self::RetriesUsedUp,
        Self::RetryHasNoTime,
        Self::RetryBudgetSpent,
        Self::RetryMeetsBreaker,
        Self::BreakerRefused,
        Self::Paused,
        Self::RateWaited,
        Self::RateRefused,
        Self::PlaceWaited,
        Self::PlaceRefused,
        Self::TryTimedOut,
        Self::AnswerStalled,
        Self::AnswerTooLarge,
    ];

    /// The layer that decides so, and its word for it: labels of the metric and fields of the event.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::DeadlinePassed => ("deadline", "passed"),
            Self::Retried => ("retry", "retried"),
            Self::RetriesUsedUp => ("retry", "used_up"),
            Self::RetryHasNoTime => ("retry", "no_time"),
            Self::RetryBudgetSpent => ("retry", "budget_spent"),
            Self::RetryMeetsBreaker => ("retry", "breaker_open"),
            Self::BreakerRefused => ("breaker", "refused"),
            Self::Paused => ("breaker", "paused"),
            Self::RateWaited => ("rate", "waited"),
            Self::RateRefused => ("rate", "refused"),
            Self::PlaceWaited => ("bulkhead", "waited"),
            Self::PlaceRefused => ("bulkhead", "refused"),
            Self::TryTimedOut => ("timeout", "timed_out"),
            Self::AnswerStalled => ("timeout", "stalled"),
            Self::AnswerTooLarge => ("timeout", "too_large"),
        }
    }
}

/// Where the decisions about one destination's calls are told. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Decisions {
    destination: Arc<str>,
    counters: Arc<[Counter]>,
}

impl Decisions {
    pub(super) fn of(destination: &Arc<str>, metrics: &Metrics) -> Self {
        let counter = |decision: Decision| {
            let (layer, word) = decision.words();
            metrics.outbound_decision(destination, layer, word)
        };
        Self {
            destination: Arc::clone(destination),
            counters: Decision::ALL.into_iter().map(counter).collect(),
        }
    }

    /// Counts a decision and leaves it in the span that is current.
    pub(super) fn note(&self, decision: Decision) {
        self.counters[decision as usize].inc();
        let (layer, word) = decision.words();
        tracing::debug!(
            destination = &*self.destination,
            layer,
            decision = word,
            "outbound call"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_has_its_counter() {
        for (place, decision) in Decision::ALL.into_iter().enumerate() {
            assert_eq!(decision as usize, place);
        }
    }
}
