//! Which queues have no leader, as far as is known.
//!
//! On RabbitMQ 3.10 the supervisor of at-least-once dead-lettering can die for good. From then on a queue with that
//! strategy that needs a leader gets none: publishes to it are refused, and whoever consumes or reads it has its whole
//! connection closed. Nothing but a restart of the node cures it, and the broker tells nobody which queues these are.
//! So whoever fails in a way that points to it says so here, and somebody asks (`scout.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use tokio::sync::watch;
use tokio::time::timeout;

use super::deadline::CallError;

/// How long a consumer waits for somebody to ask.
const SUSPICION: Duration = Duration::from_secs(10);

/// What is known of the queues' leaders.
#[derive(Default)]
pub(super) struct Leaders(watch::Sender<Known>);

#[derive(Default)]
struct Known {
    is_suspected: bool,
    without: BTreeSet<String>,
}

impl Leaders {
    /// Has somebody ask: something failed as it does for want of a leader.
    pub(super) fn suspect(&self) {
        self.0
            .send_if_modified(|known| !std::mem::replace(&mut known.is_suspected, true));
    }

    /// As [`Self::suspect`], when this is how the broker fails for want of a leader; says whether it is.
    pub(super) fn suspect_after(&self, error: &CallError) -> bool {
        let is_internal = is_internal(error);
        if is_internal {
            self.suspect();
        }
        is_internal
    }

    /// Resolves when a queue may be without a leader.
    pub(super) async fn are_doubted(&self) {
        self.until(|known| known.is_suspected || !known.without.is_empty())
            .await;
    }

    /// Resolves when nothing is known against `queue`. What is suspected is waited for, but not for ever.
    pub(super) async fn allow(&self, queue: &str) {
        let _ = timeout(SUSPICION, self.until(|known| !known.is_suspected)).await;
        self.until(|known| !known.without.contains(queue)).await;
    }

    /// Takes what was found, and says it once.
    pub(super) fn note(&self, without: &BTreeSet<String>) {
        let before = self.0.send_replace(Known {
            is_suspected: false,
            without: without.clone(),
        });
        match cure(without) {
            _ if before.without == *without => {}
            Some(cure) => tracing::error!(queues = joined(without), "{cure}"),
            None => tracing::info!("every queue has a leader again"),
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

/// Whether the broker fails as it does for want of a leader.
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

    #[tokio::test]
    async fn who_needs_a_queue_waits_while_it_is_suspected_or_without_a_leader() {
        let leaders = Leaders::default();
        let allows = |queue| leaders.allow(queue).now_or_never().is_some();
        assert!(allows("a") && leaders.are_doubted().now_or_never().is_none());
        leaders.suspect();
        assert!(!allows("a") && leaders.are_doubted().now_or_never().is_some());
        leaders.note(&BTreeSet::from(["a".to_owned()]));
        assert!(!allows("a") && allows("b"));
        assert!(leaders.cure().is_some_and(|cure| cure.contains("no leader: a;")));
        leaders.note(&BTreeSet::new());
        assert!(allows("a") && leaders.cure().is_none());
    }
}
