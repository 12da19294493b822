//! Which connections of the pool are looked at before they are used again, and which are closed unasked.
//!
//! Work that is dropped half-way, because its time is over or nobody waits any more, leaves a connection whose answer
//! may be lost: on a host that is gone it never comes. The pool would ask such a connection whether it lives, wait
//! for ever, and be one place short. So for a while after work was dropped, a connection that is given back must
//! answer at once or is closed; and after a statement that was planned for an older table, it forgets its plans.
//!
//! A connection that rested for a moment must answer before it is handed out. When one does not, those that have rested
//! since before then are closed unasked: their host is gone, and asking each would take a request's time.
//!
//! What is left: the pool itself asks each connection that comes back once more, without a deadline. When that very
//! answer is lost, a place is, until the system gives the connection up.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sea_orm::SqlxError;
use sea_orm::sqlx::{Connection, PgConnection};

/// How long after work was dropped its connection may come back. That takes a turn of the runtime, no more.
const WATCHFUL: Duration = Duration::from_secs(5);
/// A connection that answers later than this is closed. A statement that still runs has two seconds from the server.
const ANSWER: Duration = Duration::from_secs(1);
/// The same before one is handed out: whoever waits for it has a second, and a new one must be made in that.
const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// A connection that rested for less is not asked while none is found broken: under load that would be a round trip for each
/// request, to learn what the statement before has told just now.
const JUST_USED: Duration = Duration::from_millis(100);

/// What happened last that makes a connection suspect; one for all databases of a process.
static SUSPECTS: LazyLock<Suspects> = LazyLock::new(Suspects::new);

struct Suspects {
    began: Instant,
    /// When each was noted last, in milliseconds after `began`, plus one: 0 means never.
    dropped: AtomicU64,
    outdated: AtomicU64,
    silent: AtomicU64,
    broken: AtomicU64,
}

impl Suspects {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            dropped: AtomicU64::new(0),
            outdated: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }
    }

    fn note(&self, what: &AtomicU64) {
        what.store(self.age() + 1, Relaxed);
    }

    fn is_recent(&self, what: &AtomicU64) -> bool {
        self.is_within(what, WATCHFUL)
    }

    /// Whether `what` was noted within the last `span`.
    fn is_within(&self, what: &AtomicU64, span: Duration) -> bool {
        let noted = what.load(Relaxed);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        noted > 0 && self.age() <= noted.saturating_add(span)
    }

    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Notes that work was dropped unless it is told that the work is done.
#[derive(Debug)]
pub(super) struct Unfinished(());

impl Unfinished {
    pub(super) fn begin() -> Self {
        Self(())
    }

    pub(super) fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        SUSPECTS.note(&SUSPECTS.dropped);
    }
}

/// Notes that a connection holds a plan for a table that has changed.
pub(super) fn note_outdated_plan() {
    SUSPECTS.note(&SUSPECTS.outdated);
}

/// Notes that a connection was found broken: the others may be too, however lately they were used.
pub(super) fn note_broken() {
    SUSPECTS.note(&SUSPECTS.broken);
}

/// Looks at a connection that goes back to its pool; an error has the pool close it.
pub(super) async fn look_at(connection: &mut PgConnection) -> Result<bool, SqlxError> {
    if SUSPECTS.is_recent(&SUSPECTS.dropped) {
        let answered = tokio::time::timeout(ANSWER, connection.ping()).await;
        answered.map_err(|_| no_answer())??;
    }
    if SUSPECTS.is_recent(&SUSPECTS.outdated) {
        let forgotten = tokio::time::timeout(ANSWER, connection.clear_cached_statements()).await;
        forgotten.map_err(|_| no_answer())??;
    }
    Ok(true)
}

/// Looks at a connection that rested for `rest`, before it is handed out; false has the pool close it and take another.
pub(super) async fn is_usable(connection: &mut PgConnection, rest: Duration) -> bool {
    if SUSPECTS.is_within(&SUSPECTS.silent, rest) {
        return false;
    }
    if rest < JUST_USED && !SUSPECTS.is_recent(&SUSPECTS.broken) {
        return true;
    }
    let Ok(answered) = tokio::time::timeout(FIRST_ANSWER, connection.ping()).await else {
        SUSPECTS.note(&SUSPECTS.silent);
        return false;
    };
    answered.is_ok()
}

fn no_answer() -> SqlxError {
    SqlxError::Io(std::io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_lately_makes_connections_suspect() {
        let suspects = Suspects::new();
        assert!(!suspects.is_recent(&suspects.dropped));
        suspects.note(&suspects.dropped);
        assert!(suspects.is_recent(&suspects.dropped));
        assert!(!suspects.is_recent(&suspects.outdated));
    }

    #[test]
    fn what_rests_since_before_a_silence_is_told_from_what_came_after() {
        let suspects = Suspects::new();
        suspects.note(&suspects.silent);
        assert!(suspects.is_within(&suspects.silent, Duration::from_secs(1)));
        assert!(!suspects.is_within(&suspects.dropped, Duration::from_secs(1)));
    }
}
