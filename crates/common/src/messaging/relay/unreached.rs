//! Aggregates whose messages could not go, where others' may: Kafka has a leader for each partition, and one may be missing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// How many aggregates are left out of reads at most: each read names all of them.
const MOST: usize = 5_000;
/// Wait between a try that failed and the next one.
const PAUSE: Duration = Duration::from_secs(1);

/// Aggregates that are left alone. One of them at a time is tried again, in turn; when it goes through, all are free. So
/// those that can't go do not fill the window again and again.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    /// Each with the id of its first row: that row is found by its id, and needs no index on the aggregate.
    all: HashMap<Uuid, i64>,
    /// The same aggregates; the first is tried next.
    in_turn: VecDeque<Uuid>,
    tried: Option<Uuid>,
    /// Before this, none is tried.
    rests_until: Option<Instant>,
}

impl Unreached {
    /// Leaves `aggregate` alone, whose row `id` could not go. Where too many are left alone already, it is not added, and is
    /// read again as usual.
    pub(super) fn add(&mut self, aggregate: Uuid, id: i64, now: Instant) {
        if self.all.len() < MOST && self.all.insert(aggregate, id).is_none() {
            self.in_turn.push_back(aggregate);
            self.rests_until.get_or_insert(now + PAUSE);
        }
    }

    /// All that are left alone.
    pub(super) fn all(&self) -> impl Iterator<Item = &Uuid> {
        self.all.keys()
    }

    /// The aggregate that is to be tried now, and its row; `None` while another is tried or the pause lasts. Reads still
    /// leave it out.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Uuid, i64)> {
        if self.tried.is_some() || self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        let next = self.in_turn.pop_front()?;
        let id = *self.all.get(&next)?;
        self.in_turn.push_back(next);
        self.tried = Some(next);
        Some((next, id))
    }

    /// A message of `aggregate` went: if it is the one that was tried, all are free.
    pub(super) fn went(&mut self, aggregate: Uuid) {
        if self.tried == Some(aggregate) {
            *self = Self::default();
        }
    }

    /// Nothing of `aggregate` could go: if it is the one that was tried, the next one is tried after a pause.
    pub(super) fn failed_again(&mut self, aggregate: Uuid, now: Instant) {
        if self.tried.take_if(|tried| *tried == aggregate).is_some() {
            self.rests_until = Some(now + PAUSE);
        }
    }

    /// Forgets about `aggregate`: nothing of it waits, or it is held back for another reason.
    pub(super) fn forget(&mut self, aggregate: Uuid) {
        self.tried.take_if(|tried| *tried == aggregate);
        if self.all.remove(&aggregate).is_some() {
            self.in_turn.retain(|one| *one != aggregate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_is_tried_in_turn_with_a_pause_after_each() {
        let (mut unreached, mut now) = (Unreached::default(), Instant::now());
        let [one, two] = [(); 2].map(|()| Uuid::now_v7());
        unreached.add(one, 1, now);
        unreached.add(two, 2, now);
        for expected in [(one, 1), (two, 2), (one, 1)] {
            assert_eq!(unreached.next(now), None, "it rests");
            now += PAUSE;
            assert_eq!(unreached.next(now), Some(expected));
            assert_eq!(unreached.next(now), None, "one is tried already");
            unreached.failed_again(expected.0, now);
        }
        assert_eq!(unreached.all().count(), 2);
    }

    #[test]
    fn when_one_that_was_tried_goes_all_are_free_and_when_another_does_none_is() {
        let (mut unreached, now) = (Unreached::default(), Instant::now());
        let [one, two] = [(); 2].map(|()| Uuid::now_v7());
        unreached.add(one, 1, now);
        unreached.add(two, 2, now);
        assert_eq!(unreached.next(now + PAUSE), Some((one, 1)));
        unreached.went(two);
        assert_eq!(unreached.all().count(), 2);
        unreached.went(one);
        assert_eq!(unreached.all().count(), 0);
        assert_eq!(unreached.next(now + PAUSE), None);
    }

    #[test]
    fn one_of_which_nothing_waits_is_forgotten_and_too_many_are_not_taken() {
        let (mut unreached, now) = (Unreached::default(), Instant::now());
        let one = Uuid::now_v7();
        unreached.add(one, 1, now);
        assert_eq!(unreached.next(now + PAUSE), Some((one, 1)));
        unreached.forget(one);
        assert_eq!((unreached.all().count(), unreached.next(now + PAUSE)), (0, None));
        for _ in 0..=MOST {
            unreached.add(Uuid::now_v7(), 1, now);
        }
        assert_eq!(unreached.all().count(), MOST);
    }
}
