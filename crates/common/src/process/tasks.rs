//! Owns what a service spawns, so that it is stopped and awaited.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::config::Service;
use crate::telemetry::scope;

/// A task panicked: a defect. The process ends, so that whoever runs it sees.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the task `{name}` panicked")]
pub struct TaskFailed {
    /// Which task.
    pub name: &'static str,
    /// The panic's message. Not for a log: it may quote personal data.
    pub reason: String,
}

/// Tasks were still at work when the time to finish was over.
#[derive(Debug, thiserror::Error)]
#[error("{0} tasks did not finish in time and were cut off")]
pub struct Unfinished(pub usize);

/// Owns every task of one service: spawned here, stopped here, awaited here.
#[derive(Debug, Clone)]
pub struct Tasks {
    service: Service,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut_off: CancellationToken,
    failed: Arc<watch::Sender<Option<TaskFailed>>>,
}

impl Tasks {
    /// An owner for the tasks of `service`, without any yet.
    pub fn new(service: Service) -> Self {
        Self {
            service,
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            failed: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Whose tasks these are.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Runs `work` on the runtime, in the current span and on behalf of the service.
    ///
    /// A panic is logged and makes [`Self::failed`] resolve. `work` watches [`Self::stopping`].
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (failed, cut_off) = (self.failed.clone(), self.cut_off.clone());
        let watched = async move {
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(work).catch_unwind() => outcome,
                () = cut_off.cancelled() => return,
            };
            if let Err(panic) = outcome {
                let reason = panic_message(panic.as_ref());
                tracing::error!(task = name, "a task panicked");
                failed.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(TaskFailed { name, reason });
                    is_first
                });
            }
        };
        self.tracker
            .spawn(scope(self.service, watched.instrument(Span::current())));
    }

    /// Cancelled when the service is to end: take no new work, finish what is in hand.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Says that it is time to stop and waits for all tasks, `within` at most. Then cuts them off, within 0.2 s more.
    ///
    /// # Errors
    /// [`Unfinished`] when tasks had to be cut off.
    pub async fn shut_down(&self, within: Duration) -> Result<(), Unfinished> {
        self.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(within, self.tracker.wait()).await.is_ok() {
            return Ok(());
        }
        let left = self.tracker.len();
        self.cut_off.cancel();
        let _ = tokio::time::timeout(Duration::from_millis(200), self.tracker.wait()).await;
        Err(Unfinished(left))
    }

    /// Resolves when a task has panicked; never otherwise.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn failed(&self) -> TaskFailed {
        let mut failed = self.failed.subscribe();
        loop {
            if let Some(failure) = failed.borrow_and_update().clone() {
                return failure;
            }
            // The sender lives in `self`, so this never fails.
            let _ = failed.changed().await;
        }
    }
}

/// The text of a panic, where it has one.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_seen() {
        let tasks = Tasks::new(Service::UserApi);
        tasks.spawn("good", async {});
        tasks.spawn("bad", async { panic!("on purpose") });
        let failure = tasks.failed().await;
        assert_eq!((failure.name, failure.reason.as_str()), ("bad", "on purpose"));
    }

    #[tokio::test]
    async fn tasks_end_when_asked_to() {
        let tasks = Tasks::new(Service::UserApi);
        let stopping = tasks.stopping().clone();
        tasks.spawn("polite", async move { stopping.cancelled().await });
        tasks.shut_down(Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_cut_off_and_counted() {
        let tasks = Tasks::new(Service::UserApi);
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.shut_down(Duration::from_millis(50)).await.unwrap_err().0, 1);
    }
}
