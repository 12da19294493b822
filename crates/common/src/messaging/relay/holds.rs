//! What the relay holds back, and until when.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::resilience::Backoff;

/// Keys that are held back. One whose time is over is remembered for a while, so that it waits longer the next time.
pub(super) struct Holds<K> {
    waits: Backoff,
    held: HashMap<K, Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    until: Instant,
    times: u32,
}

/// How many keys are remembered at most beside those that are held back.
const REMEMBERED: usize = 1_000;

impl<K: Eq + Hash + Clone> Holds<K> {
    pub(super) fn new(waits: Backoff) -> Self {
        Self {
            waits,
            held: HashMap::new(),
        }
    }

    /// Holds `key` back, for longer than the last time; answers for how long. `None`: it is held back already, and its time
    /// does not change.
    pub(super) fn hold(&mut self, key: K, now: Instant) -> Option<Duration> {
        let times = match self.held.get(&key) {
            Some(held) if now < held.until => return None,
            Some(held) => held.times.saturating_add(1),
            None => 0,
        };
        let wait = self.waits.step(times);
        let until = now + wait;
        self.held.insert(key, Held { until, times });
        Some(wait)
    }

    /// Lets `key` go and forgets about it; `true`: it was known.
    pub(super) fn release(&mut self, key: &K) -> bool {
        self.held.remove(key).is_some()
    }

    /// Forgets keys whose time has been over for long. Where too many are remembered, forgets all whose time is over.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.held.retain(|_, held| now < held.until + self.waits.limit);
        if self.held.len() - self.running(now).count() > REMEMBERED {
            self.held.retain(|_, held| now < held.until);
        }
    }

    /// All keys that are held back now.
    pub(super) fn running(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.held
            .iter()
            .filter(move |(_, held)| now < held.until)
            .map(|(key, _)| key)
    }

    /// All keys that are known, held back or remembered.
    pub(super) fn known(&self) -> impl Iterator<Item = &K> {
        self.held.keys()
    }

    /// The keys whose time is over and that are still remembered.
    pub(super) fn over(&self, now: Instant) -> Vec<K> {
        let over = self.held.iter().filter(|(_, held)| now >= held.until);
        over.map(|(key, _)| key.clone()).collect()
    }

    /// The earliest end among all keys that are known; it may have passed.
    pub(super) fn next_over(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_secs(4));

    #[test]
    fn each_time_is_twice_as_long_up_to_the_last_and_a_release_begins_anew() {
        let mut holds = Holds::new(WAITS);
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 4] {
            assert_eq!(holds.hold("a", now), Some(Duration::from_secs(seconds)));
            assert_eq!(holds.hold("a", now), None, "once is enough");
            now += Duration::from_secs(seconds);
            assert_eq!(holds.over(now), ["a"]);
        }
        assert!(holds.release(&"a"));
        assert_eq!(holds.hold("a", now), Some(WAITS.first));
    }

    #[test]
    fn what_is_over_does_not_count_and_is_forgotten_in_time_or_for_its_number() {
        let mut holds = Holds::new(WAITS);
        let now = Instant::now();
        for key in 0..=REMEMBERED {
            holds.hold(key, now);
        }
        holds.forget_old(now);
        assert_eq!(holds.running(now).count(), REMEMBERED + 1);
        let later = now + WAITS.first;
        assert_eq!(holds.running(later).count(), 0);
        holds.forget_old(later);
        assert_eq!(holds.known().count(), 0, "too many to remember");

        holds.hold(1, now);
        holds.forget_old(later);
        assert_eq!(holds.known().count(), 1);
        holds.forget_old(later + WAITS.limit);
        assert_eq!(holds.known().count(), 0);
    }
}
