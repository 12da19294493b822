//! A database in memory with transactions, and a broker that may be away. Both are small, so that a check can let a process
//! die at each step.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use parking_lot::Mutex as Guarded;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::yield_now;

/// The rows of all tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    /// Who signed up.
    pub(crate) people: BTreeSet<u32>,
    /// The people of whom a message is still to be published.
    pub(crate) outbox: BTreeSet<u32>,
    /// The ids of the messages that were taken in.
    pub(crate) inbox: BTreeSet<u32>,
    /// The people to whom a mail was ordered, once for each mail.
    pub(crate) mails: Vec<u32>,
}

/// The database: one transaction at a time. Cheap to clone; all clones are the same database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database(Arc<Mutex<Rows>>);

/// A transaction. Changes in `rows` are all kept by a commit; when the transaction is dropped, none of them is.
pub(crate) struct Transaction {
    pub(crate) rows: Rows,
    committed: OwnedMutexGuard<Rows>,
}

impl Database {
    /// Begins a transaction; waits until no other one is open.
    pub(crate) async fn begin(&self) -> Transaction {
        yield_now().await;
        let committed = Arc::clone(&self.0).lock_owned().await;
        let rows = committed.clone();
        Transaction { rows, committed }
    }

    /// What is committed; waits until no transaction is open.
    pub(crate) async fn read(&self) -> Rows {
        self.0.lock().await.clone()
    }
}

impl Transaction {
    /// Makes its changes last.
    pub(crate) async fn commit(mut self) {
        yield_now().await;
        *self.committed = self.rows;
    }
}

/// Nobody took the message: the broker is away.
#[derive(Debug)]
pub(crate) struct Away;

/// The broker. Cheap to clone; all clones are the same broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Broker(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_away: AtomicBool,
    arrived: Guarded<Vec<u32>>,
}

impl Broker {
    /// Publishes that `person` signed up, and waits for the broker's confirmation.
    ///
    /// # Errors
    /// [`Away`] when it took nothing.
    pub(crate) async fn publish(&self, person: u32) -> Result<(), Away> {
        yield_now().await;
        if self.0.is_away.load(SeqCst) {
            return Err(Away);
        }
        self.0.arrived.lock().push(person);
        yield_now().await;
        Ok(())
    }

    pub(super) fn is_away(&self, is_away: bool) {
        self.0.is_away.store(is_away, SeqCst);
    }

    pub(super) fn has(&self, person: u32) -> bool {
        self.0.arrived.lock().contains(&person)
    }
}

/// Polls `work` until it has waited `steps` + 1 times, then drops it, as if its process died there; true when it ended.
pub(super) async fn dies_after(steps: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    for _ in 0..=steps {
        if poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await {
            return true;
        }
        yield_now().await;
    }
    false
}
