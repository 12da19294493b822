//! One attempt at one message, from its envelope to its settlement.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use contracts::envelope::header;
use contracts::topology::Queue;
use futures_util::FutureExt;
use tokio::time::timeout_at;

use super::settlement::Failure;
use super::{Consumer, ConsumerOptions, Intake, Settlement};
use crate::Timestamp;
use crate::messaging::change::Changes;
use crate::messaging::inbox;
use crate::messaging::message::{Message, limited};
use crate::messaging::rejection::Rejection;
use crate::messaging::trace;
use crate::messaging::wire::Wire;
use crate::process::chain;
use crate::telemetry::{Metrics, TraceContext};

/// Waits before the further tries that a moment's trouble gets while the message is in hand.
const IN_PLACE: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
];

/// Takes one message at a time through the intake and says how to settle it.
pub(in crate::messaging) struct Processor<I> {
    system: &'static str,
    pub(in crate::messaging) queue: Queue,
    intake: I,
    changes: Changes,
    pub(in crate::messaging) options: ConsumerOptions,
    metrics: Metrics,
}

impl<I: Intake> Processor<I> {
    /// The processor of a consumer, whose messages come over the broker `system`.
    pub(in crate::messaging) fn new(system: &'static str, consumer: Consumer<I>, metrics: Metrics) -> Self {
        let Consumer {
            queue,
            intake,
            changes,
            options,
        } = consumer;
        Self {
            system,
            queue,
            intake,
            changes,
            options,
            metrics,
        }
    }

    /// Makes one attempt. The caller carries out the settlement, whatever it is, exactly once.
    pub(in crate::messaging) async fn process(&self, mut wire: Wire) -> Settlement {
        let parent = wire.trace();
        let kind = limited(wire.header(header::TYPE).unwrap_or("unknown"), 100).to_owned();
        let id = limited(wire.header(header::ID).unwrap_or("none"), 36).to_owned();
        let span = || trace::consumer(self.system, self.queue.name, &kind, &id);
        let attempt = async {
            if parent.is_none() {
                // Nothing to continue: what becomes of the message belongs to the trace begun here.
                wire.set_trace(TraceContext::current());
            }
            let outcome = match Message::read(&self.queue, &wire) {
                Ok(message) => self.within_its_time(&message).await,
                Err(reason) => Err(Failure::Dead(reason)),
            };
            let settlement = Settlement::of(wire, outcome, &self.options.retry_delays, Timestamp::now());
            self.report(&settlement, &kind, &id);
            settlement
        };
        trace::continuing(parent.as_ref(), span, attempt).await
    }

    async fn within_its_time(&self, message: &Message) -> Result<(), Failure> {
        let limit = self.options.handler_timeout;
        match tokio::time::timeout(limit, self.tries(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Retry(format!(
                "the handler took longer than {} ms",
                limit.as_millis()
            ))),
        }
    }

    async fn tries(&self, message: &Message) -> Result<(), Failure> {
        let mut waits = IN_PLACE.iter();
        loop {
            let taken = AssertUnwindSafe(self.take(message));
            let rejection = match taken.catch_unwind().await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(rejection)) => rejection,
                // The panic's text went to the log with its place; it may quote personal data.
                Err(_) => return Err(Failure::Panic),
            };
            match (rejection.is_momentary(), rejection) {
                (_, Rejection::DeadLetter { reason }) => return Err(Failure::Dead(reason)),
                (momentary, Rejection::Retry(error)) => match waits.next() {
                    Some(wait) if momentary => tokio::time::sleep(*wait).await,
                    _ => {
                        return Err(Failure::Retry(chain(error.as_ref())));
                    }
                },
            }
        }
    }

    /// Takes the message in, once: what it asks for and its inbox row are one change.
    async fn take(&self, message: &Message) -> Result<(), Rejection> {
        let mut change = self.changes.begin_patiently().await?;
        if !inbox::first_time(change.tx(), self.queue.name, message.id, Timestamp::now()).await? {
            change.roll_back().await;
            return Ok(());
        }
        // An intake that waits for something else holds a connection, on SQLite the only one that writes.
        let deadline = change.tx().deadline();
        let taken = timeout_at(deadline, self.intake.take(message, &mut change)).await;
        match taken.unwrap_or_else(|_| Err(Rejection::retry("the intake took longer than its change may"))) {
            Ok(()) => Ok(change.commit().await?),
            Err(rejection) => {
                change.roll_back().await;
                Err(rejection)
            }
        }
    }

    fn report(&self, settlement: &Settlement, kind: &str, id: &str) {
        let queue = self.queue.name;
        self.metrics.message(queue, settlement.outcome());
        match settlement {
            Settlement::Ack => {}
            Settlement::Delay { after, copy } => {
                trace::failed();
                let error = copy.header(header::LAST_ERROR);
                let attempt = copy.count(header::ATTEMPT);
                tracing::warn!(
                    queue,
                    kind,
                    id,
                    error,
                    attempt,
                    ?after,
                    "a message failed and is tried again later"
                );
            }
            Settlement::Dead { copy } => {
                trace::failed();
                let reason = copy.header(header::REASON);
                let attempts = copy.count(header::ATTEMPT);
                let error = copy.header(header::LAST_ERROR);
                tracing::error!(
                    queue,
                    kind,
                    id,
                    reason,
                    error,
                    attempts,
                    "a message went to the dead letters"
                );
            }
        }
    }
}
