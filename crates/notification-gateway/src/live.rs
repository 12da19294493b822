//! Who listens to a stream right now, and the number up to which there is something to read.
//!
//! Only numbers go through here; a stream reads its rows from the database, after the last one that
//! it sent, so nothing is sent twice and nothing is left out, whatever was announced and whatever
//! was not. What this process wrote is announced after its commit; what other replicas wrote is
//! found by one poll for all listeners.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use common::database::{Database, within_deadline};
use common::process::Tasks;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::tables::recipients;

/// How late a row of another replica may be seen.
const POLL: Duration = Duration::from_secs(1);
/// Streams that a person has here at a time: one for each device, and some for tabs.
const MOST_EACH: usize = 10;
/// Streams of a person that take room here, ended ones whose clients don't read included.
const MOST_HELD: usize = 2 * MOST_EACH;
/// People a statement of the poll asks for.
const CHUNK: usize = 500;

/// The streams of one person.
struct Person {
    newest: watch::Sender<i64>,
    /// The end of each, the oldest first.
    ends: VecDeque<Arc<CancellationToken>>,
}

type Listeners = HashMap<Uuid, Person>;

/// The listeners of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    listeners: Arc<Mutex<Listeners>>,
}

/// What one stream listens with. Dropping it ends the listening.
pub(crate) struct Subscription {
    live: Live,
    user_id: Uuid,
    newest: watch::Receiver<i64>,
    end: Arc<CancellationToken>,
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
                let polled = tokio::select! {
                    () = stopping.cancelled() => return,
                    polled = polling.poll(&database) => polled,
                };
                if let (Err(error), false) = (&polled, failing) {
                    tracing::warn!(%error, "streams wait: the database can't be asked");
                }
                failing = polled.is_err();
            }
        });
        live
    }

    /// Begins to listen. Read the database after this, not before, or a row that comes in between is missed. `None` while
    /// the person has twenty streams here, streams included that were told to end and whose clients do not read that.
    pub(crate) fn subscribe(&self, user_id: Uuid) -> Option<Subscription> {
        let mut listeners = self.lock();
        let person = listeners.entry(user_id).or_insert_with(|| Person {
            newest: watch::Sender::new(0),
            ends: VecDeque::new(),
        });
        if person.ends.len() >= MOST_HELD {
            return None;
        }
        let end = Arc::<CancellationToken>::default();
        person.ends.push_back(Arc::clone(&end));
        Some(Subscription {
            live: self.clone(),
            user_id,
            newest: person.newest.subscribe(),
            end,
        })
    }

    /// Ends the oldest streams of a person until ten are left. Call it when a new stream is sure to begin.
    ///
    /// The client of the oldest may have gone away unseen; if it is still there, it comes back and goes on where it was. To
    /// refuse the new stream would be worse: browsers do not ask again after a refusal.
    pub(crate) fn end_the_oldest(&self, user_id: Uuid) {
        if let Some(person) = self.lock().get(&user_id) {
            let live: Vec<_> = person.ends.iter().filter(|end| !end.is_cancelled()).collect();
            let too_many = live.len().saturating_sub(MOST_EACH);
            live.into_iter().take(too_many).for_each(|end| end.cancel());
        }
    }

    /// Says that there is something up to number `seq`; call it after the commit.
    pub(crate) fn announce(&self, user_id: Uuid, seq: i64) {
        if let Some(person) = self.lock().get(&user_id) {
            person.newest.send_if_modified(|known| {
                let is_news = seq > *known;
                *known = (*known).max(seq);
                is_news
            });
        }
    }

    /// Asks for everybody who listens, in chunks. Each chunk has a deadline of its own, so that a slow one does not leave
    /// the next out. Answers with the last failure.
    async fn poll(&self, database: &Database) -> Result<(), sea_orm::DbErr> {
        let people: Vec<Uuid> = self.lock().keys().copied().collect();
        let mut polled = Ok(());
        for chunk in people.chunks(CHUNK) {
            match within_deadline(recipients::last_seqs(database.read(), chunk.to_vec())).await {
                Ok(newest) => newest
                    .into_iter()
                    .for_each(|(user_id, seq)| self.announce(user_id, seq)),
                Err(error) => polled = Err(error),
            }
        }
        polled
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock()
    }
}

impl Subscription {
    /// Resolves when the stream is to end, for a younger one's sake.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let end = CancellationToken::clone(&self.end);
        async move { end.cancelled().await }
    }

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
        if let Entry::Occupied(mut entry) = listeners.entry(self.user_id) {
            entry.get_mut().ends.retain(|end| !Arc::ptr_eq(end, &self.end));
            if entry.get().ends.is_empty() {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_end_and_take_room_until_they_are_gone() {
        let live = Live {
            listeners: Arc::default(),
        };
        let (user, other) = (Uuid::now_v7(), Uuid::now_v7());
        let mut open = Vec::new();
        for _ in 0..MOST_HELD {
            open.push(live.subscribe(user).unwrap());
            live.end_the_oldest(user);
        }
        let ended = |open: &[Subscription]| open.iter().filter(|one| one.end.is_cancelled()).count();
        assert_eq!((ended(&open[..10]), ended(&open[10..])), (10, 0));
        assert!(live.subscribe(user).is_none() && live.subscribe(other).is_some());
        open.remove(0);
        assert!(live.subscribe(user).is_some());
        drop(open);
        assert!(live.lock().is_empty());
    }
}
