//! One attempt at one message, from its envelope to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::envelope::header;
use contracts::topology::Queue;
use futures_util::FutureExt;
use sea_orm::DbErr;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::gate::Gate;
use super::settlement::Failure;
use super::{Consumer, ConsumerOptions, Intake, Settlement};
use crate::Timestamp;
use crate::database::Database;
use crate::messaging::change::Changes;
use crate::messaging::inbox;
use crate::messaging::message::{Message, limited};
use crate::messaging::rejection::Rejection;
use crate::messaging::trace;
use crate::messaging::wire::Wire;
use crate::process::{chain, last_panic_place};
use crate::telemetry::{Metrics, TraceContext};

/// Waits before further tries in place: a trouble that lasts a moment is tried again while the message is in hand.
const IN_PLACE: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
];

/// How long what is in hand may go on when the service stops; then it is handed back.
const LAST_WORK: Duration = Duration::from_secs(3);
/// How much longer than its change an intake may take: a statement of the change then fails first, with its own error.
const AFTER_ITS_CHANGE: Duration = Duration::from_millis(250);

/// Takes messages through the intake, each by itself or several in one change, and says how to settle them.
pub(in crate::messaging) struct Processor<I> {
    pub(super) system: &'static str,
    pub(in crate::messaging) queue: Queue,
    pub(super) intake: I,
    pub(super) changes: Changes,
    pub(in crate::messaging) options: ConsumerOptions,
    pub(in crate::messaging) gate: Arc<Gate>,
    pub(in crate::messaging) stopping: CancellationToken,
    pub(in crate::messaging) metrics: Metrics,
}

/// Whether an attempt had trouble with the database: tells whose fault it is when the attempt's time is over.
#[derive(Default)]
struct Standing {
    /// It waits for the database, outside of the intake's code.
    asks: AtomicBool,
    /// An earlier try failed for want of the database.
    failed: AtomicBool,
}

impl Standing {
    fn asks(&self, asks: bool) {
        self.asks.store(asks, Ordering::Relaxed);
    }

    fn is_troubled(&self) -> bool {
        self.asks.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

impl<I: Intake> Processor<I> {
    /// The processor of a consumer, whose messages come over the broker `system`.
    pub(in crate::messaging) fn new(
        system: &'static str,
        consumer: Consumer<I>,
        metrics: Metrics,
        stopping: CancellationToken,
    ) -> Self {
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
            gate: Arc::new(Gate::new(queue.name, metrics.clone())),
            stopping,
            metrics,
        }
    }

    /// Where its messages are taken in.
    pub(in crate::messaging) fn database(&self) -> &Database {
        self.changes.database()
    }

    /// Resolves when one message may be tried again: the gate's pause is over, and the database takes what every
    /// message begins with.
    ///
    /// # Cancel safety
    /// When it is called again, a pause goes on where it was, and a question to the database is asked again.
    pub(in crate::messaging) async fn probe_is_due(&self) {
        loop {
            self.gate.pause().await;
            match self.rehearse().await {
                Ok(()) => return self.gate.probes(),
                Err(error) => self.gate.failed(&chain(&error)),
            }
        }
    }

    /// Opens a change and notes a message that does not exist, then takes both back. A `SELECT 1` would succeed
    /// on a database that is locked, full, read-only or without our tables.
    async fn rehearse(&self) -> Result<(), DbErr> {
        let change = self.changes.begin().await?;
        let nothing = inbox::Taken {
            id: Uuid::now_v7(),
            kind: "",
            trace_id: "",
        };
        let noted = inbox::first_time(change.tx(), self.queue.name, nothing, Timestamp::now()).await;
        change.roll_back().await;
        noted.map(drop)
    }

    /// Makes one attempt, within the handler's time. The caller carries out the settlement, whatever it is, exactly once.
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
        let standing = Standing::default();
        let outcome = tokio::select! {
            outcome = timeout(limit, self.tries(message, &standing)) => outcome,
            () = self.last_work_is_over() => {
                return Err(Failure::NotIts("the service stops".to_owned()));
            }
        };
        let outcome = outcome.unwrap_or_else(|_| {
            let late = format!("the handler took longer than {} ms", limit.as_millis());
            Err(if standing.is_troubled() {
                Failure::NotIts(late)
            } else {
                Failure::Retry(late)
            })
        });
        match &outcome {
            Err(Failure::NotIts(error)) => self.gate.failed(error),
            // Whatever came of the message, the database was not the reason.
            _ => self.gate.succeeded(),
        }
        outcome
    }

    pub(super) async fn last_work_is_over(&self) {
        self.stopping.cancelled().await;
        sleep(LAST_WORK).await;
    }

    async fn tries(&self, message: &Message, standing: &Standing) -> Result<(), Failure> {
        let mut waits = IN_PLACE.iter();
        loop {
            let taken = AssertUnwindSafe(self.take(message, standing));
            let rejection = match taken.catch_unwind().await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(rejection)) => rejection,
                // The panic's text went to the log with its place; it may quote personal data, its place does not.
                Err(_) => {
                    self.metrics.intake_panic(self.queue.name);
                    return Err(Failure::Panic(last_panic_place()));
                }
            };
            let (momentary, own_trouble) = (rejection.is_momentary(), rejection.is_own_trouble());
            standing.asks(false);
            standing.failed.fetch_or(own_trouble, Ordering::Relaxed);
            let error = match rejection {
                Rejection::DeadLetter { reason } => return Err(Failure::Dead(reason)),
                Rejection::Retry(error) => error,
            };
            match waits.next() {
                // Behind a closed gate the trouble lasts longer than a moment.
                Some(wait) if momentary && self.gate.is_open() => sleep(*wait).await,
                _ if own_trouble => return Err(Failure::NotIts(chain(error.as_ref()))),
                _ => return Err(Failure::Retry(chain(error.as_ref()))),
            }
        }
    }

    /// Takes the message in, once: what it asks for and its inbox row are one change.
    async fn take(&self, message: &Message, standing: &Standing) -> Result<(), Rejection> {
        standing.asks(true);
        let mut change = self.changes.begin_patiently().await?;
        let trace = TraceContext::current();
        let taken = inbox::Taken {
            id: message.id,
            kind: &message.kind,
            trace_id: trace.trace_id(),
        };
        if !inbox::first_time(change.tx(), self.queue.name, taken, Timestamp::now()).await? {
            change.roll_back().await;
            return Ok(());
        }
        standing.asks(false);
        // An intake that waits for something else holds a connection, on SQLite the only one that writes.
        let deadline = change.tx().deadline() + AFTER_ITS_CHANGE;
        let taken = timeout_at(deadline, self.intake.take(message, &mut change)).await;
        standing.asks(true);
        match taken.unwrap_or_else(|_| Err(Rejection::retry("the intake took longer than its change may"))) {
            Ok(()) => {
                change.commit().await?;
                self.measure(message);
                Ok(())
            }
            Err(rejection) => {
                change.roll_back().await;
                Err(rejection)
            }
        }
    }

    /// Records how long after it happened an event was taken in (`waypost_critical_time_seconds`).
    pub(super) fn measure(&self, message: &Message) {
        if let Some(kind) = self.queue.bindings.iter().find(|kind| **kind == message.kind) {
            self.metrics.critical_time(kind, Timestamp::now().since(message.time));
        }
    }

    fn report(&self, settlement: &Settlement, kind: &str, id: &str) {
        let queue = self.queue.name;
        self.metrics.message(queue, settlement.outcome());
        match settlement {
            Settlement::Ack => {}
            Settlement::HandBack { .. } => {
                trace::failed();
                // The gate logs a trouble of the database, once for all messages.
                tracing::debug!(queue, kind, id, "a message was handed back");
            }
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
