//! Since when a dispatcher has reached the database without a break.

use std::time::{Duration, Instant};

/// Two answers of the database that lie further apart than this have a break between them.
const BREAK: Duration = Duration::from_secs(5);

/// Since when this dispatcher reaches the database without a break.
///
/// After an outage every lease has run out, also those of holders that live. Each holder needs a moment to renew them; until
/// then nobody may take over what it has in hand.
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

    /// The database did not answer.
    pub(super) fn failed(&mut self) {
        *self = Self::default();
    }

    /// Whether it has answered without a break for `time`.
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
