//! When to leave somebody alone, and for how long.

use std::time::{Duration, Instant};

use common::resilience::Backoff;

/// A call that comes while another one is finding out asks again after this.
const WHILE_PROBED: Duration = Duration::from_secs(2);

/// Why somebody is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody is there, or nobody says anything.
    Away,
    /// It says no.
    Refused,
}

impl Trouble {
    const fn waits(self) -> Backoff {
        match self {
            Self::Away => Backoff::doubling(Duration::from_secs(1), Duration::from_secs(30)),
            Self::Refused => Backoff::doubling(Duration::from_secs(10), Duration::from_mins(10)),
        }
    }
}

/// A rest. Nobody calls until it is over. Then one call is let in to find out, and what that call meets ends the rest or
/// lengthens it.
#[derive(Debug, Default)]
pub(super) struct Rest {
    resting: Option<Resting>,
    /// How often a rest has begun or ended. Calls that were let in at the same count lengthen a rest only once.
    turned: u64,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    trouble: Trouble,
    times: u32,
    until: Instant,
    is_probed: bool,
}

/// What a call was let in under; by default, before any rest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ticket {
    turned: u64,
    is_probe: bool,
}

impl Rest {
    /// Lets a call in, or says when to ask again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        let turned = self.turned;
        match &mut self.resting {
            None => Ok(Ticket {
                turned,
                is_probe: false,
            }),
            Some(resting) if now < resting.until => Err(resting.until - now),
            Some(resting) if resting.is_probed => Err(WHILE_PROBED),
            Some(resting) => {
                resting.is_probed = true;
                Ok(Ticket { turned, is_probe: true })
            }
        }
    }

    /// Lets a call in at once, to find out; says when to ask again while another call finds out.
    pub(super) fn admit_probe(&mut self, now: Instant) -> Result<Ticket, Duration> {
        if let Some(resting) = &mut self.resting {
            resting.until = resting.until.min(now);
        }
        self.admit(now)
    }

    /// Begins a rest or lengthens it; answers how long to wait from now.
    pub(super) fn begin(&mut self, ticket: Ticket, trouble: Trouble, now: Instant) -> Duration {
        if let Some(resting) = self.resting.filter(|_| ticket.turned != self.turned) {
            return resting.until.saturating_duration_since(now);
        }
        let waits = trouble.waits();
        // A silence that began before somebody was answered tells nothing new; a refusal is said now.
        if trouble == Trouble::Away && ticket.turned != self.turned {
            return waits.first;
        }
        let last = self.resting.filter(|resting| resting.trouble == trouble);
        let times = last.map_or(0, |resting| resting.times.saturating_add(1));
        let wait = waits.step(times);
        self.turned += 1;
        self.resting = Some(Resting {
            trouble,
            times,
            until: now + wait,
            is_probed: false,
        });
        wait
    }

    /// A call was answered: ends the rest. Answers whether there was one.
    pub(super) fn end(&mut self) -> bool {
        self.turned += 1;
        self.resting.take().is_some()
    }

    /// A call is over. If it was the one that was finding out, the next call may find out.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some(resting) = self
            .resting
            .as_mut()
            .filter(|_| ticket.is_probe && ticket.turned == self.turned)
        {
            resting.is_probed = false;
        }
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.resting.map(|resting| resting.trouble)
    }

    /// When the next call may come; `None`: at once.
    pub(super) fn until(&self) -> Option<Instant> {
        self.resting.map(|resting| resting.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rest_doubles_to_its_limit_and_begins_anew_after_its_end() {
        let mut rest = Rest::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let ticket = rest.admit(now).unwrap();
            let wait = rest.begin(ticket, Trouble::Refused, now);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert!(rest.end());
        let ticket = rest.admit(now).unwrap();
        assert_eq!(rest.begin(ticket, Trouble::Refused, now), 10 * SECOND);
    }

    #[test]
    fn those_who_were_let_in_together_lengthen_it_once() {
        let mut rest = Rest::default();
        let now = Instant::now();
        let tickets = [(); 8].map(|()| rest.admit(now).unwrap());
        for ticket in tickets {
            assert_eq!(rest.begin(ticket, Trouble::Refused, now), 10 * SECOND);
        }
    }

    #[test]
    fn a_silence_that_began_before_somebody_was_answered_begins_no_rest() {
        let mut rest = Rest::default();
        let now = Instant::now();
        let [silent, refused] = [(); 2].map(|()| rest.admit(now).unwrap());
        assert!(!rest.end());
        rest.begin(silent, Trouble::Away, now);
        assert_eq!(rest.trouble(), None);
        rest.begin(refused, Trouble::Refused, now);
        assert_eq!(rest.trouble(), Some(Trouble::Refused));
    }

    #[test]
    fn one_finds_out_and_the_others_wait_for_it() {
        let mut rest = Rest::default();
        let now = Instant::now();
        let ticket = rest.admit(now).unwrap();
        rest.begin(ticket, Trouble::Refused, now);
        assert_eq!(rest.admit(now + 4 * SECOND).unwrap_err(), 6 * SECOND);
        let over = now + 10 * SECOND;
        let probe = rest.admit(over).unwrap();
        assert_eq!(rest.admit(over).unwrap_err(), WHILE_PROBED);
        // It came back with nothing to tell.
        rest.leave(probe);
        let probe = rest.admit(over).unwrap();
        assert_eq!(rest.begin(probe, Trouble::Refused, over), 20 * SECOND);
        rest.leave(probe);
        assert_eq!(rest.admit(over).unwrap_err(), 20 * SECOND);
    }

    #[test]
    fn one_may_find_out_before_the_rest_is_over() {
        let mut rest = Rest::default();
        let now = Instant::now();
        let ticket = rest.admit(now).unwrap();
        rest.begin(ticket, Trouble::Refused, now);
        assert!(rest.admit(now).is_err());
        let probe = rest.admit_probe(now).unwrap();
        assert_eq!(rest.admit_probe(now).unwrap_err(), WHILE_PROBED, "one finds out");
        assert_eq!(rest.begin(probe, Trouble::Refused, now), 20 * SECOND);
    }

    #[test]
    fn another_trouble_begins_at_its_own_first_wait() {
        let mut rest = Rest::default();
        let now = Instant::now();
        for wait in [SECOND, 2 * SECOND, 4 * SECOND] {
            let later = rest.until().unwrap_or(now);
            let ticket = rest.admit(later).unwrap();
            assert_eq!(rest.begin(ticket, Trouble::Away, later), wait);
        }
        let later = rest.until().unwrap();
        let ticket = rest.admit(later).unwrap();
        assert_eq!(rest.begin(ticket, Trouble::Refused, later), 10 * SECOND);
    }
}
