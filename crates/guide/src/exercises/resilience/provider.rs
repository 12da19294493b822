//! A provider outside that sends messages to people, fails in known ways, and counts its calls.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;

/// What an answer takes.
const ANSWER: Duration = Duration::from_millis(1);

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Every call fails, and nothing is sent.
    Away,
    /// The first call fails, and nothing is sent; from then on it is well.
    FailsOnce,
    /// The first call is done, and its answer is lost on the way; from then on it is well.
    LosesOneAnswer,
}

/// Why a call has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The provider says that it could not.
    Failed,
    /// Nothing came back: the message is sent, or it is not.
    NoAnswer,
}

/// The provider. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Inner>);

struct Inner {
    trouble: Trouble,
    calls: AtomicUsize,
    /// The keys of what it has sent. A call with a key that it knows sends nothing, and is answered as a success.
    known: Mutex<HashSet<String>>,
}

impl Provider {
    pub(crate) fn with(trouble: Trouble) -> Self {
        let (calls, known) = (AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(Inner { trouble, calls, known }))
    }

    /// Sends a message to a person, once for each key.
    pub(crate) async fn send(&self, key: &str) -> Result<(), CallError> {
        let is_first = self.0.calls.fetch_add(1, SeqCst) == 0;
        tokio::time::sleep(ANSWER).await;
        match (self.0.trouble, is_first) {
            (Trouble::Away, _) | (Trouble::FailsOnce, true) => return Err(CallError::Failed),
            (Trouble::FailsOnce | Trouble::LosesOneAnswer, _) => {}
        }
        self.0.known.lock().insert(key.to_owned());
        if self.0.trouble == Trouble::LosesOneAnswer && is_first {
            return Err(CallError::NoAnswer);
        }
        Ok(())
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    /// How many messages people got.
    pub(crate) fn sent(&self) -> usize {
        self.0.known.lock().len()
    }
}
