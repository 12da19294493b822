//! One try of one delivery, from its lease to how it ended.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use opentelemetry::trace::TraceContextExt;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::load::{Hold, Shared};
use super::outcome::before_sending;
use super::sender::Sender;
use super::settle::{hand_back, settle};
use super::{Delivery, Outcome};
use crate::Timestamp;

/// A try later than this after the delivery was asked for begins a trace of its own, with a link to the old one.
const TRACE_LIFE: Duration = Duration::from_hours(1);

/// How a try ended.
enum End {
    Told(Outcome),
    /// The lease was lost before the other side could have it.
    LeaseLost,
    /// The service stops, and the other side can't have the delivery yet.
    Stopped,
    /// The service ends, and the other side may have the delivery.
    CutOff,
}

pub(super) async fn deliver<S: Sender>(shared: &Shared<S>, hold: &Hold, delivery: Delivery) {
    let span = span(&delivery);
    async {
        let now = Timestamp::now();
        let end = match before_sending(&delivery, &shared.options, now) {
            Some(outcome) => End::Told(outcome),
            None => send(shared, hold, &delivery).await,
        };
        match end {
            End::Told(outcome) => settle(shared, hold, &delivery, outcome).await,
            End::CutOff => {
                let error = "the process ended before the answer".to_owned();
                settle(shared, hold, &delivery, Outcome::Unknown { error }).await;
            }
            End::Stopped => hand_back(shared, &delivery).await,
            End::LeaseLost => {
                tracing::warn!(delivery = %delivery.id, "the lease was lost before the send had begun");
                hand_back(shared, &delivery).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// The span of a try. It continues the trace in which the delivery was asked for, or links to it when that is long ago.
fn span(delivery: &Delivery) -> Span {
    let span = info_span!(
        "deliver",
        otel.name = %format_args!("deliver {}", delivery.channel),
        otel.kind = "internal",
        waypost.delivery.id = %delivery.id,
        waypost.delivery.attempt = delivery.attempts,
    );
    if let Some(trace) = delivery.trace() {
        if Timestamp::now().since(delivery.created_at) <= TRACE_LIFE {
            trace.adopt(&span);
        } else {
            span.add_link(trace.to_context().span().span_context().clone());
        }
    }
    span
}

async fn send<S: Sender>(shared: &Shared<S>, hold: &Hold, delivery: &Delivery) -> End {
    let sending = AssertUnwindSafe(shared.sender.send(delivery, &hold.progress)).catch_unwind();
    let broken_off = |error: &str| {
        let error = error.to_owned();
        End::Told(if hold.progress.has_begun() {
            Outcome::Unknown { error }
        } else {
            Outcome::Retry { error, after: None }
        })
    };
    tokio::select! {
        // The interruption is looked at first: a send that would be broken off does not begin.
        biased;
        end = interruption(shared, hold) => end,
        outcome = tokio::time::timeout(shared.options.send_timeout, sending) => match outcome {
            Ok(Ok(outcome)) => End::Told(outcome),
            Ok(Err(_panic)) => {
                tracing::error!(delivery = %delivery.id, "the sender panicked");
                broken_off("the sender panicked")
            }
            Err(_) => broken_off("the send took too long"),
        },
    }
}

/// Returns when the send must be broken off. One that has begun goes on until its time or the process ends: breaking
/// it off would not take back what the other side has.
async fn interruption<S: Sender>(shared: &Shared<S>, hold: &Hold) -> End {
    let end = tokio::select! {
        () = until_lease_lost(shared, hold) => End::LeaseLost,
        () = shared.stopping.cancelled() => End::Stopped,
    };
    if !hold.progress.has_begun() {
        return end;
    }
    shared.stopping.cancelled().await;
    tokio::time::sleep(shared.options.drain).await;
    End::CutOff
}

/// Returns when the lease is somebody else's, or no sign of life got through until it ran out.
async fn until_lease_lost<S: Sender>(shared: &Shared<S>, hold: &Hold) {
    let running_out = async {
        loop {
            let end = shared.believed_until(hold);
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end.into()).await;
        }
    };
    tokio::select! {
        () = hold.lost.cancelled() => {}
        () = running_out => {}
    }
}
