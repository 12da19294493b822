//! What replicas tell each other of a destination: a note that an open breaker leaves, and nothing more.
//!
//! A state that is shared would let one replica with a broken network close a destination for all. A note alone opens
//! nothing: whoever finds it opens after two failures of its own.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// How long the note stands.
const LASTS: Duration = Duration::from_secs(30);
/// A replica whose calls fail looks no more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The note about one destination.
pub(super) struct Hints {
    store: Store,
    key: String,
    /// Who left a note: one's own is no news.
    own: Uuid,
    looked: Mutex<Option<Instant>>,
}

impl Hints {
    pub(super) fn new(destination: &str, store: Store) -> Self {
        Self {
            store,
            key: format!("breaker:{destination}"),
            own: Uuid::now_v7(),
            looked: Mutex::default(),
        }
    }

    /// Leaves the note. A store that is away hears of nothing: each replica then finds out for itself.
    pub(super) async fn leave(&self) {
        told(self.store.set(&self.key, self.own.as_bytes(), LASTS).await);
    }

    /// Takes the note back, if it is one's own: the destination is well again.
    pub(super) async fn take_back(&self) {
        let gone = self.store.compare_and_delete(&self.key, self.own.as_bytes()).await;
        told(gone.map(|_| ()));
    }

    /// How long a note that stands is believed; `None` when there is none, or somebody here looked just now.
    pub(super) async fn look(&self) -> Option<Duration> {
        let now = Instant::now();
        {
            let mut looked = self.looked.lock();
            if looked.is_some_and(|at| now.saturating_duration_since(at) < LOOK_AGAIN) {
                return None;
            }
            *looked = Some(now);
        }
        let note = self.store.get(&self.key).await.ok()?;
        note.filter(|by| by.as_ref() != self.own.as_bytes()).map(|_| LASTS)
    }
}

fn told(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "the other replicas are not told of a breaker");
    }
}
