//! How long each step of a conversation may take, and how many conversations go on at a time.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::Failure;
use super::verdict::Stage;

/// Conversations that go on at a time. Relays count connections, and more of them are not faster.
pub(super) const LIVELY: usize = 8;

/// The deadlines of a conversation. Together they stay below the dispatcher's for a send (90 s), so that
/// how a send ended is always said here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// For a turn, when every conversation that goes on is lively.
    pub(super) turn: Duration,
    /// After this long a silence a conversation no longer counts as one that goes on: another has its turn. It is short, so
    /// that mails flow again well within 5 s even when as many replies as there are turns got lost at once.
    pub(super) lively: Duration,
    /// Resolving the host, connecting to one of its addresses: a lost packet is sent again after 1 s and 3 s.
    pub(super) dial: Duration,
    /// The first reply on a rested connection. A dead connection costs no more than this; a slow one is replaced.
    pub(super) reuse: Duration,
    /// Any other reply before the text. It holds up nobody else, so it may be slow: some relays make strangers wait (5 s and
    /// 6 s are usual), or ask elsewhere about a recipient.
    pub(super) step: Duration,
    /// All steps before the text.
    pub(super) before_text: Duration,
    /// The text and the reply to it. It is long, since who gives up here doesn't know whether the mail was taken.
    pub(super) text: Duration,
    /// Cleaning up a connection after a refusal.
    pub(super) reset: Duration,
}

impl Deadlines {
    pub(super) const USUAL: Self = Self {
        turn: Duration::from_secs(6),
        lively: Duration::from_secs(2),
        dial: Duration::from_secs(4),
        reuse: Duration::from_secs(3),
        step: Duration::from_secs(10),
        before_text: Duration::from_secs(20),
        text: Duration::from_mins(1),
        reset: Duration::from_secs(2),
    };
}

/// A conversation's turn, and its deadlines.
pub(super) struct Pace<'a> {
    turn: Option<SemaphorePermit<'a>>,
    text_begins_by: Instant,
    pub(super) deadlines: Deadlines,
}

impl<'a> Pace<'a> {
    /// Waits for a turn; `None` when there was none in time.
    pub(super) async fn begin(turns: &'a Semaphore, deadlines: Deadlines) -> Option<Self> {
        let turn = timeout(deadlines.turn, turns.acquire()).await.ok()?.ok()?;
        Some(Self {
            turn: Some(turn),
            text_begins_by: Instant::now() + deadlines.before_text,
            deadlines,
        })
    }

    /// Waits for a step, `limit` at most; a step before the text ends with `before_text` as well. A step that takes longer
    /// than `lively` gives the turn back and goes on without it.
    pub(super) async fn step<T>(
        &mut self,
        stage: Stage,
        limit: Duration,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut deadline = Instant::now() + limit;
        if stage != Stage::Text {
            deadline = deadline.min(self.text_begins_by);
        }
        let done = timeout_at(deadline, self.step_aside(step)).await;
        done.unwrap_or_else(|_| Err(Failure::silence(stage)))
    }

    async fn step_aside<T>(&mut self, step: impl Future<Output = T>) -> T {
        tokio::pin!(step);
        if self.turn.is_some() {
            if let Ok(done) = timeout(self.deadlines.lively, &mut step).await {
                return done;
            }
            self.turn = None;
        }
        step.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_ends_before_the_dispatcher_breaks_it_off() {
        let Deadlines {
            turn,
            before_text,
            text,
            reset,
            ..
        } = Deadlines::USUAL;
        assert!(turn + before_text + text + reset < Duration::from_secs(90));
    }
}
