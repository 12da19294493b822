//! Which queues have no leader, as far as is known.
//!
//! On RabbitMQ 3.10 the supervisor of at-least-once dead-lettering can die for good. From then on a queue with that
//! strategy that needs a new leader gets none: publishes to it are refused, and whoever consumes or reads it has its whole
//! connection closed. Nothing but a restart of the node cures it, and the broker tells nobody which queues these are.
//! So a part that fails in a way that points to it reports a suspicion here, and the scout asks the queues (`scout.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::deadline::CallError;

/// How long a consumer waits at most for the scout's answer to a suspicion.
const SUSPICION: Duration = Duration::from_secs(10);
/// For how long a refusal is no suspicion after every leader was found: a full queue refuses in the same way, for hours.
const BELIEF: Duration = Duration::from_secs(30);

/// What is known of the queues' leaders.
#[derive(Default)]
pub(super) struct Leaders(watch::Sender<Known>);

#[derive(Default)]
struct Known {
    is_suspected: bool,
    /// Whether a leader was missing since every queue was last found to have one.
    was_missing: bool,
    without: BTreeSet<String>,
    /// When the last look found that every queue has a leader; `None`: it did not find that.
    all_at: Option<Instant>,
}

/// What a look at every queue found.
#[derive(Default)]
pub(super) struct Found {
    /// Those that have no leader.
    pub(super) without: BTreeSet<String>,
    /// Whether some queues did not answer; of those `without` says what was known before.
    pub(super) is_partial: bool,
}

impl Leaders {
    /// Reports a failure that a missing leader may have caused. The scout asks, unless it found every leader just now.
    pub(super) fn suspect(&self) {
        self.0.send_if_modified(|known| {
            let is_known = known.all_at.is_some_and(|at| at.elapsed() < BELIEF);
            !is_known && !std::mem::replace(&mut known.is_suspected, true)
        });
    }

    /// Reports `error`. The scout asks if it is the broker's internal error, by which it tells of a missing leader; answers
    /// whether it is.
    pub(super) fn suspect_after(&self, error: &CallError) -> bool {
        let is_internal = is_internal(error);
        if is_internal {
            self.0
                .send_if_modified(|known| !std::mem::replace(&mut known.is_suspected, true));
        }
        is_internal
    }

    /// Whether `queue` is known to have no leader.
    pub(super) fn lacks(&self, queue: &str) -> bool {
        self.0.borrow().without.contains(queue)
    }

    /// Resolves when a queue is suspected or known to have no leader.
    pub(super) async fn are_doubted(&self) {
        self.until(|known| known.is_suspected || !known.without.is_empty())
            .await;
    }

    /// Resolves when `queue` may be consumed: a suspicion is waited out, for 10 s at most, and a leader that is known to be
    /// missing for as long as it takes.
    pub(super) async fn allow(&self, queue: &str) {
        let _ = timeout(SUSPICION, self.until(|known| !known.is_suspected)).await;
        self.until(|known| !known.without.contains(queue)).await;
    }

    /// Takes what a look found, and logs it when it changed. Where some queues did not answer, the suspicion stays.
    pub(super) fn note(&self, found: Found) {
        let Found { without, is_partial } = found;
        let all = !is_partial && without.is_empty();
        let was_missing = self.0.borrow().was_missing;
        let before = self.0.send_replace(Known {
            is_suspected: is_partial,
            was_missing: !all && (was_missing || !without.is_empty()),
            without: without.clone(),
            all_at: all.then(Instant::now),
        });
        match cure(&without) {
            Some(cure) if before.without != without => tracing::error!(queues = joined(&without), "{cure}"),
            None if all && was_missing => tracing::info!("every queue has a leader again"),
            _ => {}
        }
    }

    /// What is wrong and what cures it; `None`: every queue has a leader, as far as is known.
    pub(super) fn cure(&self) -> Option<String> {
        cure(&self.0.borrow().without)
    }

    async fn until(&self, holds: impl Fn(&Known) -> bool) {
        // The sender is this one's own: there is no error.
        let _ = self.0.subscribe().wait_for(|known| holds(known)).await;
    }
}

/// Whether this is the broker's internal error (AMQP's 541), with which it answers for a queue without a leader.
pub(super) fn is_internal(error: &CallError) -> bool {
    let CallError::Lapin(error) = error else { return false };
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR))
}

fn cure(queues: &BTreeSet<String>) -> Option<String> {
    let named = joined(queues);
    (!queues.is_empty()).then(|| format!("no leader: {named}; restart the RabbitMQ node, then all goes on by itself"))
}

fn joined(queues: &BTreeSet<String>) -> String {
    queues.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn without(queues: &[&str]) -> Found {
        Found {
            without: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            is_partial: false,
        }
    }

    #[tokio::test]
    async fn who_needs_a_queue_waits_while_it_is_suspected_or_without_a_leader() {
        let leaders = Leaders::default();
        let allows = |queue| leaders.allow(queue).now_or_never().is_some();
        assert!(allows("a") && leaders.are_doubted().now_or_never().is_none());
        leaders.suspect();
        assert!(!allows("a") && leaders.are_doubted().now_or_never().is_some());
        leaders.note(without(&["a"]));
        assert!(!allows("a") && allows("b"));
        assert!(leaders.cure().is_some_and(|cure| cure.contains("no leader: a;")));
        leaders.note(Found::default());
        assert!(allows("a") && leaders.cure().is_none());
    }

    #[tokio::test]
    async fn a_queue_that_refuses_is_not_suspected_for_a_while_after_every_leader_was_found() {
        let leaders = Leaders::default();
        let are_doubted = || leaders.are_doubted().now_or_never().is_some();
        leaders.note(Found::default());
        leaders.suspect();
        assert!(!are_doubted());
        leaders
            .0
            .send_modify(|known| known.all_at = known.all_at.and_then(|at| at.checked_sub(BELIEF)));
        leaders.suspect();
        assert!(are_doubted());

        leaders.note(without(&["a"]));
        leaders.suspect();
        assert!(leaders.0.borrow().is_suspected, "another may be without one since");
    }

    #[tokio::test]
    async fn what_did_not_answer_keeps_its_suspicion_and_hides_no_recovery() {
        let leaders = Leaders::default();
        leaders.note(without(&["a", "b"]));
        leaders.note(Found {
            is_partial: true,
            ..without(&["b"])
        });
        assert!(!leaders.lacks("a") && leaders.lacks("b"));
        leaders.note(Found {
            is_partial: true,
            ..Found::default()
        });
        assert!(leaders.cure().is_none() && leaders.are_doubted().now_or_never().is_some());
        leaders.suspect();
        assert!(leaders.0.borrow().is_suspected, "not all were found");
    }
}
