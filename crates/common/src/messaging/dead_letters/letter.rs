//! One dead letter in hand.

use std::fmt;

use contracts::envelope::header;

use crate::messaging::dead_letter::DeadLetter;
use crate::messaging::rabbit::Held;
use crate::messaging::replayed::first_trace;
use crate::messaging::wire::Wire;

/// A dead letter in hand. When it is dropped, it stays where it is.
pub struct Letter {
    /// The letter as a list shows it.
    pub shown: DeadLetter,
    pub(super) wire: Wire,
    pub(super) at: At,
}

/// Where a letter lies.
pub(super) enum At {
    /// On the broker, handed out.
    Broker(Held),
    /// In a row; its body is not read yet.
    Row(i64),
}

impl Letter {
    pub(super) fn new(queue: &str, wire: Wire, at: At) -> Self {
        Self {
            shown: DeadLetter::of(queue, &wire),
            wire,
            at,
        }
    }

    /// Its headers, as they came: name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.wire
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Content type, where it had one.
    pub fn content_type(&self) -> Option<&str> {
        self.wire.content_type.as_deref()
    }

    /// Id of the trace in which the message was first published, where a replay has begun another one since.
    pub fn first_trace_id(&self) -> Option<String> {
        self.wire.header(header::FIRST_TRACE)?;
        first_trace(&self.wire).map(|trace| trace.trace_id().to_owned())
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(&self.wire).finish()
    }
}
