//! The low-water mark: the id up to which nobody has to look for events any more.
//!
//! Why: PostgreSQL keeps deleted rows in the table until vacuum takes them, and vacuum takes none while somebody holds an
//! old snapshot. A read that begins at the first row goes through all of them: 50 ms instead of 0.6 ms after 300,000. A
//! read that begins behind the mark does not.
//!
//! Why the mark is not the highest id that was sent: ids are handed out before the commit, so a row with a lower id may be
//! committed later. But whoever writes holds a lock on the table (`ROW EXCLUSIVE`) from before an id is handed out until
//! the transaction has ended; `CREATE INDEX CONCURRENTLY` waits for writers in the same way. So the mark moves in these
//! steps, each a statement of its own:
//! 1. the highest id that was read becomes the candidate: it and all lower ids have been handed out by then;
//! 2. who holds such a lock now may still commit one of them;
//! 3. when none of those holds it any more, every row up to the candidate is committed, or never comes;
//! 4. the first row that is seen after that bounds the mark, which moves up to the candidate, but never past a row that is
//!    still there.

use std::time::Duration;

use tokio::time::Instant;

/// How often the relay makes sure that there is no row below the mark.
const WHOLE: Duration = Duration::from_mins(1);
/// The same after a look that failed.
const WHOLE_AGAIN: Duration = Duration::from_secs(10);
/// So many ids between the mark and the newest that was read are far: every read may go through as many deleted rows.
const FAR: i64 = 1_000;
/// How soon the mark is moved again where it is far behind.
const SOON: Duration = Duration::from_millis(200);

/// How far the relay has come for good. A new leader begins at 0: what another leader has seen, it does not know.
pub(super) struct Mark {
    at: i64,
    highest: i64,
    candidate: Option<Candidate>,
    /// Whether a row that waits kept it where it was.
    is_held: bool,
    looked_at: Instant,
    whole_at: Instant,
}

/// An id that the mark is to move to.
#[derive(Debug)]
struct Candidate {
    id: i64,
    /// Who may still commit a row up to it.
    writers: Vec<String>,
    since: Instant,
}

impl Mark {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: 0,
            highest: 0,
            candidate: None,
            is_held: false,
            looked_at: now,
            whole_at: now + WHOLE,
        }
    }

    /// The mark: rows up to this id are done with, or never come.
    pub(super) fn at(&self) -> i64 {
        self.at
    }

    /// A row with this id was read.
    pub(super) fn has_read(&mut self, id: i64) {
        self.highest = self.highest.max(id);
    }

    /// Whether rows were read that lie behind the mark: it has somewhere to go.
    pub(super) fn is_behind(&self) -> bool {
        self.highest > self.at
    }

    /// When the mark is to be moved sooner than usual, because it is far behind. Not while a row holds it that waits: to look
    /// more often helps nobody.
    pub(super) fn due(&self) -> Option<Instant> {
        let is_far = self.highest - self.at > FAR;
        (is_far && !self.is_held).then(|| self.looked_at + SOON)
    }

    /// The mark was looked after, whatever came of it.
    pub(super) fn was_looked_after(&mut self, now: Instant) {
        self.looked_at = now;
    }

    /// Takes who holds a lock for writing, as seen after everything that was read so far. Gives an id up to which no row comes
    /// any more: [`Self::moves_to`] is to be called with the first row that is there from now on.
    pub(super) fn sees(&mut self, writers: Vec<String>, now: Instant) -> Option<i64> {
        if writers.is_empty() {
            self.candidate = None;
            return self.is_behind().then_some(self.highest);
        }
        let has_gone = |candidate: &mut Candidate| !candidate.writers.iter().any(|one| writers.contains(one));
        let settled = self.candidate.take_if(has_gone).map(|candidate| candidate.id);
        if self.candidate.is_none() && self.highest > settled.unwrap_or(self.at) {
            self.candidate = Some(Candidate {
                id: self.highest,
                writers,
                since: now,
            });
        }
        settled
    }

    /// Moves up to `id`, but not past `first`, the first row behind the mark.
    pub(super) fn moves_to(&mut self, id: i64, first: Option<i64>) {
        let free = first.map_or(id, |first| id.min(first - 1));
        let before = self.at;
        self.at = before.max(free);
        self.is_held = free < id && self.at == before;
    }

    /// How long at least a transaction has run for which the mark waits; zero where it waits for none.
    pub(super) fn oldest_writer(&self, now: Instant) -> Duration {
        self.candidate
            .as_ref()
            .map_or(Duration::ZERO, |candidate| now - candidate.since)
    }

    /// Whether it is time to look for rows below the mark.
    pub(super) fn wants_the_whole(&self, now: Instant) -> bool {
        self.at > 0 && now >= self.whole_at
    }

    /// The rows below the mark could not be looked at.
    pub(super) fn misses_the_whole(&mut self, now: Instant) {
        self.whole_at = now + WHOLE_AGAIN;
    }

    /// Takes the lowest id of all rows; `true`: it lies below the mark, where no row should be. The mark then goes back to
    /// 0, so that the row is published.
    pub(super) fn sees_the_whole(&mut self, first: Option<i64>, now: Instant) -> bool {
        self.whole_at = now + WHOLE;
        let is_below = first.is_some_and(|first| first <= self.at);
        if is_below {
            (self.at, self.highest, self.candidate) = (0, 0, None);
        }
        is_below
    }
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
