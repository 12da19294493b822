//! One try of one delivery, from its lease to its recorded outcome.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use opentelemetry::trace::TraceContextExt;
use tokio::time::timeout_at;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::load::Shared;
use super::outcome::{Transition, before_sending, handed_back, resolve, without_text};
use super::record::{apply, renew};
use super::sender::{RecordError, Sender};
use super::{Delivery, Outcome};
use crate::Timestamp;
use crate::database::{is_data_refused, within};
use crate::process::chain;

/// A delivery that is made later than this begins a trace of its own, with a link to the old one.
const TRACE_LIFE: Duration = Duration::from_hours(1);
/// Waits between tries to record an outcome.
const RECORD_RETRY: Duration = Duration::from_millis(500);
/// One statement that renews a lease.
const RENEW_TIMEOUT: Duration = Duration::from_secs(3);

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

/// Renews the lease; returns when it is somebody else's, or could not be renewed until it ran out.
async fn until_lease_lost<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    let lease = shared.options.lease;
    let mut believed_until = Instant::now() + lease;
    loop {
        let renewal = async {
            tokio::time::sleep(shared.options.renew).await;
            (Instant::now(), renewed(shared, delivery).await)
        };
        match timeout_at(believed_until.into(), renewal).await {
            Ok((asked_at, Some(true))) => believed_until = asked_at + lease,
            Ok((_, None)) => {}
            Ok((_, Some(false))) | Err(_) => return,
        }
    }
}

/// Renews the lease for as long as it is ours; never returns.
async fn keep_lease<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    loop {
        tokio::time::sleep(shared.options.renew).await;
        if renewed(shared, delivery).await == Some(false) {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the lease is still ours; `None` when the database does not say.
async fn renewed<S: Sender>(shared: &Shared<S>, delivery: &Delivery) -> Option<bool> {
    let renewal = renew(
        shared.database.write(),
        delivery,
        shared.options.lease,
        Timestamp::now(),
    );
    within(RENEW_TIMEOUT, renewal).await.ok()
}

async fn until_drained<S: Sender>(shared: &Shared<S>) {
    shared.stopping.cancelled().await;
    tokio::time::sleep(shared.options.drain).await;
}

/// Brings an outcome into its row.
async fn settle<S: Sender>(shared: &Shared<S>, delivery: &Delivery, outcome: Outcome) {
    if let Some(pause) = outcome.destination_pause() {
        shared.pause(&delivery.destination, pause);
    }
    let (outcome, row) = resolve(outcome, delivery, &shared.options, Timestamp::now());
    if let Some(error) = &row.last_error {
        let to = row.to.as_str();
        tracing::info!(delivery = %delivery.id, channel = %delivery.channel, to, error, "a delivery did not go through");
    }
    // For as long as it takes nobody else may think that the row was left behind.
    tokio::select! {
        () = until_recorded(shared, delivery, outcome, row) => {}
        () = keep_lease(shared, delivery) => {}
    }
}

/// Does not give up while the database is away: what was sent was sent. What the database can't hold is left out.
async fn until_recorded<S: Sender>(shared: &Shared<S>, delivery: &Delivery, mut outcome: Outcome, mut row: Transition) {
    let mut has_text = true;
    loop {
        match record(shared, delivery, &outcome, &row).await {
            Ok(true) => {
                shared.metrics.delivery(&delivery.channel, row.to.as_str());
                return;
            }
            Ok(false) => {
                tracing::warn!(delivery = %delivery.id, "an outcome came after its lease and was refused");
                return;
            }
            Err(RecordError::Database(error)) if has_text && is_data_refused(&error) => {
                tracing::error!(delivery = %delivery.id, "the database refuses the other side's text; an outcome is recorded without it");
                has_text = false;
                (outcome, row) = without_text(outcome, row);
            }
            Err(error) => {
                tracing::warn!(delivery = %delivery.id, error = chain(&error), "an outcome can't be recorded yet");
                tokio::time::sleep(RECORD_RETRY).await;
            }
        }
    }
}

/// The row and what the sender tells of it are one change; `false`: the lease was somebody else's.
async fn record<S: Sender>(
    shared: &Shared<S>,
    delivery: &Delivery,
    outcome: &Outcome,
    row: &Transition,
) -> Result<bool, RecordError> {
    let mut change = shared.changes.begin_patiently().await?;
    if !apply(change.tx(), delivery, row, Timestamp::now()).await? {
        change.roll_back().await;
        return Ok(false);
    }
    shared.sender.record(&mut change, delivery, outcome).await?;
    change.commit().await?;
    Ok(true)
}

async fn hand_back<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    let now = Timestamp::now();
    let row = handed_back(delivery, now);
    let handing = apply(shared.database.write(), delivery, &row, now);
    if !matches!(within(RENEW_TIMEOUT, handing).await, Ok(true)) {
        tracing::warn!(delivery = %delivery.id, "a lease could not be handed back; it runs out by itself");
    }
}
