//! What the limiter says of a request, and what it would say of the next ones.

use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on after this time: its turn has not come yet.
    Wait(Duration),
    /// It does not; another one after this time does, if nobody else comes before it.
    Refuse(Duration),
}

/// What the limiter says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub verdict: Verdict,
    /// How many more would pass now.
    pub remaining: i64,
    /// After this time, as many would pass at once as ever do.
    pub whole_after: Duration,
}

/// The limit of a class, as callers are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many pass at once.
    pub quota: i64,
    /// How long it takes until as many pass again.
    pub window: Duration,
}
