//! Since when the database is reached without a break.

use std::time::{Duration, Instant};

/// Longest time between two looks at the database that is no break.
const BREAK: Duration = Duration::from_secs(5);

/// Since when this dispatcher reaches the database without a break.
///
/// After an outage every lease has run out, those of holders that live included. Each holder needs a moment to say so;
/// until then nobody may take what it has sent.
#[derive(Debug, Default)]
pub(super) struct Contact {
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Contact {
    /// The database answered.
    pub(super) fn succeeded(&mut self, now: Instant) {
        let is_broken = self.last.is_none_or(|last| now.duration_since(last) > BREAK);
        if is_broken {
            self.since = Some(now);
        }
        self.last = Some(now);
    }

    /// It did not.
    pub(super) fn failed(&mut self) {
        *self = Self::default();
    }

    /// Whether it has answered all the time for so long.
    pub(super) fn has_lasted(&self, time: Duration, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_and_a_pause_begin_the_time_anew() {
        let start = Instant::now();
        let mut contact = Contact::default();
        for second in 0..=15 {
            contact.succeeded(start + SECOND * second);
        }
        let now = start + SECOND * 15;
        assert!(contact.has_lasted(SECOND * 15, now) && !contact.has_lasted(SECOND * 16, now));

        contact.failed();
        assert!(!contact.has_lasted(Duration::ZERO, now));
        contact.succeeded(now + SECOND);
        assert!(!contact.has_lasted(SECOND, now + SECOND));

        // As after a pause of the machine: others slept as well.
        let later = now + SECOND * 60;
        contact.succeeded(later);
        assert!(!contact.has_lasted(SECOND, later));
    }
}
