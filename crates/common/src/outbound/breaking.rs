//! No call to a destination that fails, or that asked us to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Extensions;
use parking_lot::Mutex;
use reqwest::{Request, Response, StatusCode};
use reqwest_middleware::{Middleware, Next, Result};

use super::answer::retry_after;
use super::attempt::Tries;
use super::call::Entry;
use super::deadline::Deadline;
use super::decisions::{Decision, Decisions};
use super::hints::Hints;
use super::{Destination, OutboundError, Refusal};
use crate::Timestamp;
use crate::resilience::{Breaker, BreakerState, Transition, Verdict};
use crate::telemetry::Metrics;

/// No pause is kept for longer: what asked for it may have been somebody in between, or have meant less than all.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What telling other replicas, or asking them, may take of a call's time.
const SHARING: Duration = Duration::from_millis(150);

/// Third layer: asks the breaker, and keeps a pause that the destination asked for.
#[derive(Clone)]
pub(super) struct BreakerLayer(Arc<Inner>);

struct Inner {
    breaker: Arc<Breaker>,
    /// What the other replicas are not told of yet.
    news: Arc<News>,
    hints: Option<Hints>,
    paused_until: Mutex<Option<Instant>>,
    pauses_by_itself: bool,
    decisions: Decisions,
}

impl BreakerLayer {
    pub(super) fn new(
        destination: &Destination,
        hints: Option<Hints>,
        metrics: &Metrics,
        decisions: Decisions,
    ) -> Self {
        let news = Arc::<News>::default();
        let watch = watch(&destination.name, metrics, Arc::clone(&news));
        Self(Arc::new(Inner {
            breaker: Breaker::watched(destination.breaker, Instant::now(), watch),
            news,
            hints,
            paused_until: Mutex::default(),
            pauses_by_itself: destination.pauses_by_itself,
            decisions,
        }))
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        &self.0.breaker
    }

    /// Makes no call for so long, a minute at most. A longer pause that is kept already stays.
    pub(super) fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_PAUSE);
        let mut paused_until = self.0.paused_until.lock();
        *paused_until = Some(paused_until.map_or(until, |before| before.max(until)));
    }

    /// How long no call is made yet, because the destination asked for it.
    pub(super) fn paused_for(&self, now: Instant) -> Option<Duration> {
        let until = (*self.0.paused_until.lock())?;
        let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        (!self.0.breaker.is_forced_closed(now)).then_some(left)
    }

    fn refuse(&self, decision: Decision, refusal: Refusal, retry_after: Duration) -> OutboundError {
        self.0.decisions.note(decision);
        OutboundError::Unavailable { refusal, retry_after }
    }

    /// Tells other replicas what this one found out, or asks what they did, after a failure here.
    async fn share(&self, has_failed: bool) {
        let Some(hints) = &self.0.hints else { return };
        if self.0.news.closed.swap(false, Ordering::Relaxed) {
            hints.take_back().await;
        } else if self.0.news.opened.swap(false, Ordering::Relaxed) {
            hints.leave().await;
        } else if has_failed
            && self.0.breaker.wants_hint(Instant::now())
            && let Some(lasts) = hints.look().await
        {
            self.0.breaker.hint(lasts, Instant::now());
        }
    }
}

/// What a breaker did that other replicas are not told of yet.
#[derive(Default)]
struct News {
    opened: AtomicBool,
    closed: AtomicBool,
}

#[async_trait]
impl Middleware for BreakerLayer {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let is_probe = extensions.get::<Entry>() == Some(&Entry::Probe);
        if is_probe {
            self.0.breaker.probe(Instant::now());
        }
        if let Some(left) = self.paused_for(Instant::now()).filter(|_| !is_probe) {
            return Err(self.refuse(Decision::Paused, Refusal::Paused, left).into());
        }
        let permit = match self.0.breaker.admit(Instant::now()) {
            Ok(permit) => permit,
            Err(rejected) => {
                let error = self.refuse(Decision::BreakerRefused, Refusal::BreakerOpen, rejected.retry_after);
                return Err(error.into());
            }
        };
        let outcome = next.run(request, extensions).await;
        let verdict = verdict(&outcome);
        match (verdict, extensions.get::<Tries>()) {
            // What the layers below waited for a turn is not the destination's.
            (Some(verdict), Some(tries)) => permit.that_took(tries.last_took).report(verdict, Instant::now()),
            (Some(verdict), None) => permit.report(verdict, Instant::now()),
            (None, _) => permit.release(Instant::now()),
        }
        if let Ok(answer) = &outcome
            && self.0.pauses_by_itself
            && answer.status() == StatusCode::TOO_MANY_REQUESTS
            && let Some(wait) = retry_after(answer.headers(), Timestamp::now())
        {
            self.pause(wait);
        }
        // With little time left, the outcome of the call is worth more than what other replicas know.
        if verdict.is_some() && Deadline::left(extensions).is_none_or(|left| left > SHARING) {
            self.share(verdict == Some(Verdict::Failure)).await;
        }
        outcome
    }
}

/// What an outcome says about the destination; `None`: it was not called.
fn verdict(outcome: &Result<Response>) -> Option<Verdict> {
    match outcome {
        Ok(answer) if answer.status().is_server_error() || answer.status() == StatusCode::REQUEST_TIMEOUT => {
            Some(Verdict::Failure)
        }
        // A 429 too: a destination that counts our calls is well.
        Ok(_) => Some(Verdict::Success),
        Err(error) => match OutboundError::within(error) {
            Some(OutboundError::Unavailable { .. } | OutboundError::Request(_)) => None,
            _ => Some(Verdict::Failure),
        },
    }
}

/// Counts each transition and writes it down, once.
fn watch(name: &Arc<str>, metrics: &Metrics, news: Arc<News>) -> impl Fn(Transition) + Send + Sync + use<> {
    let name = Arc::clone(name);
    let states = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];
    let counters = states.map(|state| metrics.breaker_transitions(&name, state.word()));
    move |Transition { to, open_for, counted }| {
        counters[to as usize].inc();
        let destination = &*name;
        match to {
            BreakerState::Open => {
                news.opened.store(true, Ordering::Relaxed);
                news.closed.store(false, Ordering::Relaxed);
                let open_for_ms = open_for.unwrap_or_default().as_millis();
                let (calls, failed, slow) = (counted.calls, counted.failed, counted.slow);
                tracing::warn!(
                    destination,
                    open_for_ms,
                    calls,
                    failed,
                    slow,
                    "the circuit breaker opened"
                );
            }
            BreakerState::HalfOpen => tracing::info!(destination, "the circuit breaker lets probes through"),
            BreakerState::Closed => {
                news.opened.store(false, Ordering::Relaxed);
                news.closed.store(true, Ordering::Relaxed);
                tracing::info!(destination, "the circuit breaker closed");
            }
        }
    }
}
