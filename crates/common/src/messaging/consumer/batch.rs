//! Several messages in one change: all of them are taken in, or none is.
//!
//! Why: the commit costs more than the rows of a message. Where the common change fails, whatever the cause, each message
//! is processed by itself, with its own attempt, reason and settlement; nothing is settled here.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use contracts::envelope::header;
use futures_util::FutureExt;
use tokio::time::{timeout, timeout_at};
use uuid::Uuid;

use super::{Intake, Processor};
use crate::Timestamp;
use crate::messaging::change::Change;
use crate::messaging::inbox;
use crate::messaging::message::{Message, limited};
use crate::messaging::rejection::Rejection;
use crate::messaging::trace;
use crate::messaging::wire::Wire;
use crate::telemetry::TraceContext;

impl<I: Intake> Processor<I> {
    /// How many messages may share a change; 1 where the intake does not allow it.
    pub(in crate::messaging) fn batch(&self) -> usize {
        if I::SHARES_A_CHANGE { self.options.batch } else { 1 }
    }

    /// Takes all of them in, in one change; `false`: that failed, and each is to be processed by itself.
    pub(in crate::messaging) async fn process_together(&self, wires: impl Iterator<Item = &Wire>) -> bool {
        let wires: Vec<&Wire> = wires.collect();
        let taking = AssertUnwindSafe(self.take_together(&wires)).catch_unwind();
        let is_taken = tokio::select! {
            taken = timeout(self.options.handler_timeout, taking) => matches!(taken, Ok(Ok(Ok(())))),
            () = self.last_work_is_over() => false,
        };
        let queue = self.queue.name;
        if is_taken {
            self.gate.succeeded();
            for _ in wires {
                self.metrics.message(queue, "ack");
            }
        }
        self.metrics.batch(queue, if is_taken { "together" } else { "apart" });
        is_taken
    }

    async fn take_together(&self, wires: &[&Wire]) -> Result<(), Rejection> {
        let read = wires.iter().map(|wire| Message::read(&self.queue, wire));
        let messages: Vec<Message> = read.collect::<Result<_, _>>().map_err(Rejection::dead_letter)?;
        let mut change = self.changes.begin_patiently().await?;
        match self.fill(&mut change, &messages, wires).await {
            Ok(new) => {
                change.commit().await?;
                for message in new {
                    self.measure(message);
                }
                Ok(())
            }
            Err(rejection) => {
                change.roll_back().await;
                Err(rejection)
            }
        }
    }

    /// Has each new message leave its effects in the change; answers with the new ones.
    async fn fill<'a>(
        &self,
        change: &mut Change,
        messages: &'a [Message],
        wires: &[&Wire],
    ) -> Result<Vec<&'a Message>, Rejection> {
        let traces = wires.iter().map(|wire| wire.trace());
        let traces: Vec<_> = traces.map(|trace| trace.unwrap_or_else(TraceContext::fresh)).collect();
        let taken = messages.iter().zip(&traces).map(|(message, trace)| inbox::Taken {
            id: message.id,
            kind: &message.kind,
            trace_id: trace.trace_id(),
        });
        let taken = taken.collect();
        let mut unknown: HashSet<Uuid> =
            inbox::first_times(change.tx(), self.queue.name, taken, Timestamp::now()).await?;
        let deadline = change.tx().deadline();
        let too_late = |_| Err(Rejection::retry("several messages took longer than their change may"));
        let mut new = Vec::new();
        for (message, (wire, trace)) in messages.iter().zip(wires.iter().zip(&traces)) {
            // Passes over a message that was taken in before, and the second of two copies in this batch.
            if unknown.remove(&message.id) {
                let id = limited(wire.header(header::ID).unwrap_or("none"), 36);
                let span = || trace::consumer(self.system, self.queue.name, &message.kind, id);
                let taking = timeout_at(deadline, self.intake.take(message, change));
                // In the trace that the inbox row names: the message's own, or the fresh one that it got above.
                let taken = trace::continuing(Some(trace), span, taking).await;
                taken.unwrap_or_else(too_late)?;
                new.push(message);
            }
        }
        Ok(new)
    }
}
