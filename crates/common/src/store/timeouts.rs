//! How long the store may take, and nobody waits for it longer.

use std::time::Duration;

/// Deadlines of one store: for commands, which callers wait for, and for connections, which they do not.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The answer to one command. The wait for a place to send it has the same limit, so a server that hangs costs a
    /// read twice this at most.
    pub response: Duration,
    /// Dialling and greeting, in the background.
    pub connect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: Duration::from_millis(50),
            connect: Duration::from_millis(250),
        }
    }
}
