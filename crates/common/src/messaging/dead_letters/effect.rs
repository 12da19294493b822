//! What came of a replay.

use serde::Serialize;
use uuid::Uuid;

use crate::messaging::dead_letter::DeadLetter;

/// What came of a letter that was put back into its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Its consumer took it in.
    Done,
    /// Its consumer had taken it in before: the copy changes nothing.
    Known,
    /// It was set aside again.
    DeadAgain,
    /// Nothing was known when the wait ended: it waits for its consumer, or for its next attempt.
    NotYet,
    /// Somebody else has put it back already.
    Taken,
}

impl Effect {
    /// The same in words, for a person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Known => "dropped as known",
            Self::DeadAgain => "dead again",
            Self::NotYet => "not yet",
            Self::Taken => "on its way already",
        }
    }
}

/// A replay and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The letter as it was before.
    pub letter: DeadLetter,
    /// What came of it.
    pub effect: Effect,
    /// Id of the trace that the replay began; `None` where somebody else had put it back.
    pub trace_id: Option<String>,
}

/// A letter that was put back, while it is not known what comes of it.
pub(super) struct Sent {
    pub(super) letter: DeadLetter,
    pub(super) replay: Uuid,
    pub(super) message: Option<Uuid>,
    /// Whether the consumer had taken it in before.
    pub(super) known: bool,
    pub(super) row: Option<i64>,
    pub(super) trace_id: String,
}

impl Sent {
    pub(super) fn told(self, effect: Effect) -> Told {
        Told {
            letter: self.letter,
            effect,
            trace_id: Some(self.trace_id),
        }
    }
}
