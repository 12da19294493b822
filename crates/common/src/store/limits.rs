//! How long the store may take, and nobody waits for it longer.

use std::time::Duration;

/// How long the store may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The answer to one command; the longest that a read loses to a server that hangs.
    pub response: Duration,
    /// Dialling and greeting, in the background.
    pub connect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response: Duration::from_millis(50),
            connect: Duration::from_millis(250),
        }
    }
}
