//! Writes the outcome of a try into its row, and tries until that succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempt::{self, Exchange, ExchangeStatus};
use super::load::{Hold, Shared};
use super::outcome::{Transition, handed_back, resolve, without_text};
use super::progress::Exchanged;
use super::record::{apply, was_applied};
use super::sender::{RecordError, Sender};
use super::{Delivery, Outcome, Status};
use crate::Timestamp;
use crate::database::{is_data_refused, within};
use crate::process::chain;

/// Waits between tries to record an outcome.
const RECORD_RETRY: Duration = Duration::from_millis(500);
/// Longest wait for the statement that gives a lease back.
const HAND_BACK: Duration = Duration::from_secs(2);

/// Writes an outcome into the delivery's row. Returns once it is recorded or refused, however long the database is away.
pub(super) async fn settle<S: Sender>(shared: &Shared<S>, hold: &Hold, delivery: &Delivery, outcome: Outcome) {
    if let Some(pause) = outcome.destination_pause() {
        let asked = matches!(outcome, Outcome::Retry { .. });
        shared.pause(&delivery.destination, pause, asked);
    }
    let exchanged = hold.progress.exchanged();
    for _ in 0..maybe_sent(&outcome, &exchanged) {
        shared.metrics.maybe_sent(&delivery.channel, "no_answer");
    }
    if let Outcome::Unknown { error } = &outcome {
        tracing::warn!(delivery = %delivery.id, channel = %delivery.channel, error, "a delivery may arrive twice");
    }
    let now = Timestamp::now();
    // A send that was broken off has no exchange; the provider that was being asked may have the delivery.
    let was_asked = !exchanged.exchanges.is_empty() || matches!(outcome, Outcome::Unknown { .. });
    let (outcome, mut row) = resolve(outcome, delivery, &shared.options, now);
    if was_asked {
        row.provider.clone_from(&exchanged.holder);
    }
    if let Some(error) = &row.last_error {
        let to = row.to.as_str();
        tracing::info!(delivery = %delivery.id, channel = %delivery.channel, to, error, "a delivery did not go through");
    }
    let ended = Ended {
        outcome,
        row,
        exchanged,
        now,
    };
    until_recorded(shared, delivery, ended).await;
}

/// How a delivery stands after a try, and since when.
struct Ended {
    outcome: Outcome,
    row: Transition,
    exchanged: Exchanged,
    now: Timestamp,
}

/// How many providers may have the delivery without having said so.
fn maybe_sent(outcome: &Outcome, exchanged: &Exchanged) -> usize {
    // Of several exchanges with one provider the last one counts.
    let mut last: BTreeMap<&str, ExchangeStatus> = BTreeMap::new();
    for Exchange { provider, status, .. } in &exchanged.exchanges {
        last.insert(provider, *status);
    }
    let unknown = last
        .values()
        .filter(|status| **status == ExchangeStatus::Unknown)
        .count();
    unknown.max(usize::from(matches!(outcome, Outcome::Unknown { .. })))
}

/// Records an outcome, and tries until the database answers: what was sent can't be taken back. Texts that the database
/// can't hold are left out.
async fn until_recorded<S: Sender>(shared: &Shared<S>, delivery: &Delivery, mut ended: Ended) {
    let mut has_text = true;
    let mut may_be_recorded = false;
    loop {
        match record(shared, delivery, &ended).await {
            Ok(true) => return recorded(shared, delivery, &ended),
            // The answer to an earlier commit may have been lost.
            Ok(false) if may_be_recorded => match was_applied(shared.database.read(), delivery, ended.now).await {
                Ok(true) => return recorded(shared, delivery, &ended),
                Ok(false) => return refused(delivery),
                Err(error) => {
                    tracing::warn!(delivery = %delivery.id, error = chain(&error), "whether an outcome is recorded can't be asked yet");
                    tokio::time::sleep(RECORD_RETRY).await;
                }
            },
            Ok(false) => return refused(delivery),
            Err(RecordError::Database(error)) if has_text && is_data_refused(&error) => {
                tracing::error!(delivery = %delivery.id, "the database refuses the other side's text; an outcome is recorded without it");
                has_text = false;
                (ended.outcome, ended.row) = without_text(ended.outcome, ended.row);
                for exchange in &mut ended.exchanged.exchanges {
                    (exchange.answer, exchange.reason) = (None, None);
                }
            }
            Err(error) => {
                may_be_recorded = true;
                tracing::warn!(delivery = %delivery.id, error = chain(&error), "an outcome can't be recorded yet");
                tokio::time::sleep(RECORD_RETRY).await;
            }
        }
    }
}

/// Counts the outcome, and measures the time since the delivery's cause where it was taken.
fn recorded<S: Sender>(shared: &Shared<S>, delivery: &Delivery, ended: &Ended) {
    shared.metrics.delivery(&delivery.channel, ended.row.to.as_str());
    let was_taken = matches!(ended.row.to, Status::Accepted | Status::Delivered);
    if let Some(effect) = shared.sender.effect(delivery).filter(|_| was_taken) {
        let took = Timestamp::now().since(delivery.caused_at());
        shared.metrics.critical_time(effect, took);
    }
}

fn refused(delivery: &Delivery) {
    tracing::warn!(delivery = %delivery.id, "an outcome came after its lease had ended; it is not recorded");
}

/// Writes the row, the exchanges and what the sender adds, in one change; `false`: the lease is no longer the row's.
async fn record<S: Sender>(shared: &Shared<S>, delivery: &Delivery, ended: &Ended) -> Result<bool, RecordError> {
    let mut change = shared.changes.begin_patiently().await?;
    if !apply(change.tx(), delivery, &ended.row, ended.now).await? {
        change.roll_back().await;
        return Ok(false);
    }
    let next = (ended.row.to == Status::Pending).then_some(ended.row.next_attempt_at);
    attempt::insert(change.tx(), delivery, (&ended.exchanged.exchanges, next), ended.now).await?;
    shared.sender.record(&mut change, delivery, &ended.outcome).await?;
    change.commit().await?;
    Ok(true)
}

/// Gives back the lease of a send that has not begun; it costs no attempt. Where that fails, the lease runs out by itself.
pub(super) async fn hand_back<S: Sender>(shared: &Shared<S>, delivery: &Delivery) {
    let now = Timestamp::now();
    let row = handed_back(delivery, now);
    let handing = apply(shared.database.write(), delivery, &row, now);
    if !matches!(within(HAND_BACK, handing).await, Ok(true)) {
        tracing::warn!(delivery = %delivery.id, "a lease could not be handed back; it runs out by itself");
    }
}
