//! Connections that wait for the next mail.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::pace::LIVELY;
use parking_lot::{Mutex, MutexGuard};

/// A connection that rested longer is not used again: servers close them after some minutes.
const MAX_REST: Duration = Duration::from_secs(30);

/// Connections that wait for the next mail, the one used last at the end.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<(Connection, Instant)>>);

impl Idle {
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|(_, since)| since.elapsed() < MAX_REST);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection for the next mail; closes it when as many are kept as conversations may go on at a time.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < LIVELY {
            idle.push((connection, Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.0.lock()
    }
}
