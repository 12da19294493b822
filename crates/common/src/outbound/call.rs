//! In which way one call is made.

use super::Repeat;
use super::heard::Heard;

/// In which way one call is made, beside what it asks for.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// Whether it may be made again.
    pub repeat: Repeat,
    /// Where what was heard at each try is kept, if anybody wants it.
    pub heard: Option<Heard>,
    /// Whether an open breaker or a pause refuses it.
    pub entry: Entry,
}

/// Whether a call is refused while its destination is not worth one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Entry {
    /// It is refused while the breaker is open, and during a pause that the destination asked for.
    #[default]
    AsOthers,
    /// It is the one that finds out: somebody who runs the service says so. A breaker that is forced open lets it through
    /// no more than others.
    Probe,
}
