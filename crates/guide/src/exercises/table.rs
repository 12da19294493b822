//! A table of profiles in memory that counts how often it is asked, and can let a reader wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a query takes.
const QUERY: Duration = Duration::from_millis(10);

/// A profile, as its row holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Counts the changes of the row, from 1.
    pub(crate) version: u64,
    pub(crate) name: String,
}

/// The table. Cheap to clone; all clones are the same table.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rows: Mutex<HashMap<u32, Row>>,
    asked: AtomicUsize,
    /// Holds up the next reader, after its row is read and before it is answered.
    delay: Mutex<Option<Arc<Delay>>>,
}

/// Holds one reader up between the row and the answer.
#[derive(Default)]
pub(crate) struct Delay {
    reached: Notify,
    over: Notify,
}

impl Table {
    /// A table that holds these people, each at version 1.
    pub(crate) fn of(people: &[(u32, &str)]) -> Self {
        let table = Self::default();
        for (id, name) in people {
            table.rename(*id, name);
        }
        table
    }

    /// Asks for a row. The query takes 10 ms, or as long as the reader is held up.
    pub(crate) async fn find(&self, id: u32) -> Option<Row> {
        self.0.asked.fetch_add(1, SeqCst);
        let row = self.0.rows.lock().get(&id).cloned();
        let delay = self.0.delay.lock().take();
        match delay {
            Some(delay) => {
                delay.reached.notify_one();
                delay.over.notified().await;
            }
            None => tokio::time::sleep(QUERY).await,
        }
        row
    }

    /// Changes the name in a row, or makes the row; gives back the row as it is then.
    pub(crate) fn rename(&self, id: u32, name: &str) -> Row {
        let mut rows = self.0.rows.lock();
        let version = rows.get(&id).map_or(1, |row| row.version + 1);
        let name = name.to_owned();
        let row = Row { version, name };
        rows.insert(id, row.clone());
        row
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// Holds the next reader up until it is told to go on.
    pub(crate) fn hold_next_reader(&self) -> Arc<Delay> {
        let delay = Arc::new(Delay::default());
        *self.0.delay.lock() = Some(Arc::clone(&delay));
        delay
    }
}

impl Delay {
    /// Waits until a reader is held up, with the row read.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the reader go on.
    pub(crate) fn end(&self) {
        self.over.notify_one();
    }
}
