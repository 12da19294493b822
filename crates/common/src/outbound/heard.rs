//! What was heard at each try of one call, for callers who keep it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::StatusCode;

use super::OutboundError;
use super::answer::leaves_open;

/// More tries of one call are not kept. There are four at most, unless a destination has more retries than usual.
const MOST: usize = 8;
/// Bytes of an answer that are kept.
const KEPT: usize = 8 * 1024;

/// What was heard at the tries of one call, in their order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Heard {
    tries: Arc<Mutex<Vec<Said>>>,
    begins: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What was heard at one try.
#[derive(Clone)]
pub struct Said {
    /// The answer's status, where there was an answer.
    pub status: Option<StatusCode>,
    /// The answer's first bytes.
    pub body: Bytes,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Whether the destination may have received the call all the same.
    pub may_be_received: bool,
}

impl Heard {
    /// Nothing yet. Calls `begins` just before a try leaves, behind breaker, limit and bulkhead: until it is called the
    /// destination can't have received anything.
    pub fn telling(begins: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            begins: Some(Arc::new(begins)),
            ..Self::default()
        }
    }

    /// All of it, so far.
    pub fn tries(&self) -> Vec<Said> {
        self.tries.lock().clone()
    }

    pub(super) fn begin(&self) {
        if let Some(begins) = &self.begins {
            begins();
        }
    }

    pub(super) fn note(&self, said: Said) {
        let mut tries = self.tries.lock();
        if tries.len() < MOST {
            tries.push(said);
        }
    }
}

impl Said {
    /// An answer came.
    pub(super) fn answered(status: StatusCode, body: &Bytes) -> Self {
        Self {
            status: Some(status),
            body: body.slice(..body.len().min(KEPT)),
            error: None,
            may_be_received: leaves_open(status),
        }
    }

    /// None came.
    pub(super) fn nothing(error: &OutboundError) -> Self {
        Self {
            status: None,
            body: Bytes::new(),
            error: Some(error.to_string()),
            may_be_received: error.may_be_received(),
        }
    }
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.tries()).finish()
    }
}

impl std::fmt::Debug for Said {
    /// Without the body, which may hold personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said")
            .field("status", &self.status)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
