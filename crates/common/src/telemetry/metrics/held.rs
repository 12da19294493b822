//! What is measured of an operator's hold.

use std::time::Duration;

/// How a destination is held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// For how long the hold has stood.
    pub age: Duration,
    /// How long it still stands.
    pub left: Duration,
    /// How many deliveries are due behind it.
    pub waiting: u64,
}
