//! Who listens to a stream right now, and the number up to which there is something to read.
//!
//! Only numbers go through here; a stream reads its rows from the database, after the last one that
//! it sent, so nothing is sent twice and nothing is left out, whatever was announced and whatever
//! was not. What this process wrote is announced after its commit; what other replicas wrote is
//! found by one poll for all listeners.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::database::{Database, within_deadline};
use common::process::Tasks;
use tokio::sync::watch;
use uuid::Uuid;

use crate::tables::recipients;

/// How late a row of another replica may be seen.
const POLL: Duration = Duration::from_secs(1);
/// Streams that a person may have open here: one for each device, and some for tabs.
const MOST_EACH: usize = 10;
/// People a statement of the poll asks for.
const CHUNK: usize = 500;

type Listeners = HashMap<Uuid, watch::Sender<i64>>;

/// The listeners of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    listeners: Arc<Mutex<Listeners>>,
}

/// One stream's ear; dropping it ends the listening.
pub(crate) struct Subscription {
    live: Live,
    user_id: Uuid,
    newest: watch::Receiver<i64>,
}

impl Live {
    pub(crate) fn spawn(database: Database, tasks: &Tasks) -> Self {
        let live = Self {
            listeners: Arc::default(),
        };
        let (polling, stopping) = (live.clone(), tasks.stopping().clone());
        tasks.spawn("live poll", async move {
            let mut failing = false;
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(POLL) => {}
                }
                let polled = within_deadline(polling.poll(&database)).await;
                if let (Err(error), false) = (&polled, failing) {
                    tracing::warn!(%error, "streams wait: the database can't be asked");
                }
                failing = polled.is_err();
            }
        });
        live
    }

    /// Begins to listen; read the database after this, not before, or something falls in between. `None` when the person
    /// has ten streams here already.
    pub(crate) fn subscribe(&self, user_id: Uuid) -> Option<Subscription> {
        let mut listeners = self.lock();
        let newest = listeners.entry(user_id).or_insert_with(|| watch::Sender::new(0));
        (newest.receiver_count() < MOST_EACH).then(|| Subscription {
            live: self.clone(),
            user_id,
            newest: newest.subscribe(),
        })
    }

    /// Says that there is something up to number `seq`; call it after the commit.
    pub(crate) fn announce(&self, user_id: Uuid, seq: i64) {
        if let Some(newest) = self.lock().get(&user_id) {
            newest.send_if_modified(|known| {
                let is_news = seq > *known;
                *known = (*known).max(seq);
                is_news
            });
        }
    }

    async fn poll(&self, database: &Database) -> Result<(), sea_orm::DbErr> {
        let people: Vec<Uuid> = self.lock().keys().copied().collect();
        for chunk in people.chunks(CHUNK) {
            for (user_id, seq) in recipients::last_seqs(database.read(), chunk.to_vec()).await? {
                self.announce(user_id, seq);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The highest number that was announced: what is committed up to it can be read.
    pub(crate) fn announced(&self) -> i64 {
        *self.newest.borrow()
    }

    /// Waits until there is something after number `seq`.
    pub(crate) async fn after(&mut self, seq: i64) {
        // The sender is kept for as long as there is a subscription.
        let _ = self.newest.wait_for(|newest| *newest > seq).await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut listeners = self.live.lock();
        if let Entry::Occupied(entry) = listeners.entry(self.user_id) {
            // One receiver is this one, which is still counted.
            if entry.get().receiver_count() <= 1 {
                entry.remove();
            }
        }
    }
}
