//! The low-water mark: the id up to which nobody has to look for events any more.
//!
//! Why: PostgreSQL keeps deleted rows in the table until vacuum takes them, and vacuum takes none while somebody holds an
//! old snapshot. A read that begins at the first row goes through all of them: 50 ms instead of 0.6 ms after 300,000. A
//! read that begins behind the mark does not.
//!
//! Why the mark is not the highest id that was sent: ids are handed out before the commit, so a row with a lower id may be
//! committed later. The mark moves in these steps:
//! 1. the highest id that was read becomes the candidate: it and all lower ids have been handed out by then;
//! 2. it ripens for as long as one statement may take. Whoever got such an id has a transaction number by then, or never
//!    writes;
//! 3. a transaction number is drawn, the fence. All those writers have lower ones;
//! 4. when no transaction runs whose number is the fence or lower, every row up to the candidate is committed, or never
//!    comes. The mark moves up to the candidate, but never past a row that is still there.

use std::time::Duration;

use tokio::time::Instant;

use super::rows::Horizon;
use crate::database::DEADLINE;

/// How long a candidate ripens before its fence. The server ends every statement of ours sooner.
const RIPENS: Duration = DEADLINE;
/// How often the relay makes sure that there is no row below the mark.
const WHOLE: Duration = Duration::from_mins(1);
/// The same after a look that failed.
const WHOLE_AGAIN: Duration = Duration::from_secs(10);

/// How far the relay has come for good. A new leader begins at 0: what another leader has seen, it does not know.
pub(super) struct Mark {
    at: i64,
    highest: i64,
    candidate: Option<Candidate>,
    whole_at: Instant,
    /// The lowest number of a transaction that runs, and since when it has been the lowest.
    oldest: Option<(i64, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: i64,
    since: Instant,
    fence: Option<i64>,
}

impl Mark {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: 0,
            highest: 0,
            candidate: None,
            whole_at: now + WHOLE,
            oldest: None,
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

    /// Takes what a look at the horizon showed; `true`: the candidate is ripe, and [`Self::fence`] is to be called.
    pub(super) fn sees(&mut self, horizon: &Horizon, now: Instant) -> bool {
        self.note_oldest(horizon, now);
        match self.candidate {
            None if self.highest > self.at => {
                self.candidate = Some(Candidate {
                    id: self.highest,
                    since: now,
                    fence: None,
                });
                false
            }
            None => false,
            Some(Candidate { fence: None, since, .. }) => now >= since + RIPENS,
            Some(Candidate {
                id, fence: Some(fence), ..
            }) => {
                if horizon.oldest_running > fence {
                    let first = horizon.first_waiting.unwrap_or(i64::MAX);
                    self.at = id.min(first - 1).max(self.at);
                    self.candidate = None;
                }
                false
            }
        }
    }

    /// Takes the fence that was wanted: a new transaction number. Who had a number before has a lower one.
    pub(super) fn fence(&mut self, number: i64) {
        if let Some(candidate) = &mut self.candidate {
            candidate.fence = Some(number);
        }
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
            (self.at, self.candidate) = (0, None);
        }
        is_below
    }

    /// How long at least the oldest transaction that writes has run; zero where none was seen.
    pub(super) fn oldest_writer(&self, now: Instant) -> Duration {
        self.oldest.map_or(Duration::ZERO, |(_, since)| now - since)
    }

    fn note_oldest(&mut self, horizon: &Horizon, now: Instant) {
        let is_running = horizon.oldest_running < horizon.next_number;
        self.oldest = match self.oldest {
            _ if !is_running => None,
            Some((number, since)) if number == horizon.oldest_running => Some((number, since)),
            _ => Some((horizon.oldest_running, now)),
        };
    }
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
