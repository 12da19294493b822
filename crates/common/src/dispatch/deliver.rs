//! One try of one delivery, from its lease to its recorded outcome.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use opentelemetry::trace::TraceContextExt;
use sea_orm::DbErr;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::dispatcher::{Sender, Shared};
use super::outcome::{Change, before_sending, handed_back, resolve};
use super::record::{apply, renew};
use super::{Delivery, Outcome};
use crate::Timestamp;

/// A delivery that is made later than this begins a trace of its own, with a link to the old one.
const TRACE_LIFE: Duration = Duration::from_hours(1);
/// Waits between tries to record an outcome; below the dispatcher's own wait after a failure, so
/// that a send that is done is recorded before its lease could be given to somebody else.
const RECORD_RETRY: Duration = Duration::from_millis(500);
/// One statement that renews a lease.
const RENEW_TIMEOUT: Duration = Duration::from_secs(3);
/// One try to record an outcome.
const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

/// How the time under the lease ended.
enum End {
    Sent(Outcome),
    LeaseLost,
    Stopped,
}

pub(super) async fn deliver<S: Sender>(shared: &Shared<S>, delivery: Delivery) {
    let span = span(&delivery);
    async {
        let now = Timestamp::now();
        let end = match before_sending(&delivery, &shared.options, now) {
            Some(outcome) => End::Sent(outcome),
            None => send(shared, &delivery).await,
        };
        match end {
            End::Sent(outcome) => settle(shared, &delivery, outcome).await,
            End::Stopped => hand_back(shared, &delivery).await,
            End::LeaseLost => {
                tracing::warn!(delivery = %delivery.id, "the lease was lost; the send was broken off");
            }
        }
    }
    .instrument(span)
    .await;
}

/// Continues the trace in which the delivery was asked for.
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

async fn send<S: Sender>(shared: &Shared<S>, delivery: &Delivery) -> End {
    let limit = shared.options.send_timeout;
    let sending = tokio::time::timeout(limit, AssertUnwindSafe(shared.sender.send(delivery)).catch_unwind());
    let again = |error: &str| {
        End::Sent(Outcome::Retry {
            error: error.to_owned(),
            after: None,
        })
    };
    tokio::select! {
        outcome = sending => match outcome {
            Ok(Ok(outcome)) => End::Sent(outcome),
            Ok(Err(_panic)) => {
                tracing::error!(delivery = %delivery.id, "the sender panicked");
                again("the sender panicked")
            }
            Err(_) => again("the send took too long"),
        },
        () = until_lease_lost(shared, delivery) => End::LeaseLost,
        () = until_drained(shared) => End::Stopped,
    }
}

/// Renews the lease; returns when it is lost, or could not be renewed until it ran out.
async fn until_lease_lost<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    let lease = shared.options.lease;
    let mut believed_until = Instant::now() + lease;
    loop {
        tokio::time::sleep(shared.options.renew).await;
        let asked_at = Instant::now();
        let renewal = renew(shared.database.write(), delivery, lease, Timestamp::now());
        match tokio::time::timeout(RENEW_TIMEOUT, renewal).await {
            Ok(Ok(true)) => believed_until = asked_at + lease,
            Ok(Err(_)) | Err(_) if Instant::now() < believed_until => {}
            Ok(Ok(false) | Err(_)) | Err(_) => return,
        }
    }
}

async fn until_drained<S: Sender>(shared: &Shared<S>) {
    shared.stopping.cancelled().await;
    tokio::time::sleep(shared.options.drain).await;
}

/// Records an outcome, and does not give up while the database is away: what was sent was sent.
async fn settle<S: Sender>(shared: &Shared<S>, delivery: &Delivery, outcome: Outcome) {
    if let Outcome::Unavailable { after } = &outcome {
        shared.rest(&delivery.destination, *after);
    }
    let (outcome, change) = resolve(outcome, delivery, &shared.options, Timestamp::now());
    if let Some(error) = &change.last_error {
        let to = change.to.as_str();
        tracing::info!(delivery = %delivery.id, channel = %delivery.channel, to, error, "a delivery did not go through");
    }
    loop {
        let recording = record(shared, delivery, &outcome, &change);
        let failure = match tokio::time::timeout(RECORD_TIMEOUT, recording).await {
            Ok(Ok(true)) => {
                shared.metrics.delivery(&delivery.channel, change.to.as_str());
                shared.sender.committed(delivery, &outcome);
                return;
            }
            Ok(Ok(false)) => {
                tracing::warn!(delivery = %delivery.id, "an outcome came after its lease and was refused");
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(delivery = %delivery.id, error = failure, "an outcome can't be recorded yet");
        tokio::time::sleep(RECORD_RETRY).await;
    }
}

async fn record<S: Sender>(
    shared: &Shared<S>,
    delivery: &Delivery,
    outcome: &Outcome,
    change: &Change,
) -> Result<bool, DbErr> {
    let tx = shared.database.begin().await?;
    if !apply(&tx, delivery, change, Timestamp::now()).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    shared.sender.record(&tx, delivery, outcome).await?;
    tx.commit().await?;
    Ok(true)
}

async fn hand_back<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    let now = Timestamp::now();
    let change = handed_back(delivery, now);
    let handing = apply(shared.database.write(), delivery, &change, now);
    if !matches!(tokio::time::timeout(RENEW_TIMEOUT, handing).await, Ok(Ok(true))) {
        tracing::warn!(delivery = %delivery.id, "a lease could not be handed back; it runs out by itself");
    }
}
