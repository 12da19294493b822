//! Several messages in one change: all of them are taken in, or none is.
//!
//! Why: what a message costs is its commit more than its rows. Where the change does not come to be, whoever is to blame,
//! each message goes by itself, with its own attempt, its own reason and its own way; nothing is settled here.

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
    /// How many messages may share a change.
    pub(in crate::messaging) fn batch(&self) -> usize {
        if I::SHARES_A_CHANGE { self.options.batch } else { 1 }
    }

    /// Takes all of them in, in one change; `false`: none is, and each is to go by itself.
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

    /// Has each message that is new leave its effects in the change; answers with those.
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
            // Known before, or come twice just now.
            if unknown.remove(&message.id) {
                let id = limited(wire.header(header::ID).unwrap_or("none"), 36);
                let span = || trace::consumer(self.system, self.queue.name, &message.kind, id);
                let taking = timeout_at(deadline, self.intake.take(message, change));
                // In the trace that the inbox names, whether the message came with it or has it from here.
                let taken = trace::continuing(Some(trace), span, taking).await;
                taken.unwrap_or_else(too_late)?;
                new.push(message);
            }
        }
        Ok(new)
    }
}
