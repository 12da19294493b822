//! What becomes of a message after one attempt.

use std::time::Duration;

use contracts::envelope::header;

use crate::Timestamp;
use crate::messaging::fingerprint::cause;
use crate::messaging::message::limited;
use crate::messaging::wire::Wire;

/// After so many panics of a handler on one message, the message is set aside.
const MAX_PANICS: u32 = 5;
/// Longest text of an error or a reason that travels in a header, in bytes.
const MAX_TEXT_BYTES: usize = 500;
/// Header that counts how many of the attempts panicked.
const PANICS: &str = "waypost-panics";

/// Why an attempt failed.
pub(super) enum Failure {
    Retry(String),
    Dead(String),
    /// The handler panicked, at a place in the code where that is known.
    Panic(Option<String>),
    /// The consumer's own database is in trouble, or its process ends: the message is not to blame.
    NotIts(String),
}

/// What becomes of a message: exactly one of these, exactly once.
pub(in crate::messaging) enum Settlement {
    /// Done.
    Ack,
    /// A copy goes through the delay queue, then the original is done with.
    Delay { after: Duration, copy: Wire },
    /// A copy goes to the dead letters, then the original is done with.
    Dead { copy: Wire },
    /// The message was not to blame. A copy goes through the shortest delay queue, as if it had never been here:
    /// it costs no attempt, and no delivery either, as a message that is given back or lost with its channel would.
    HandBack { after: Duration, copy: Wire },
}

impl Settlement {
    pub(super) fn of(wire: Wire, outcome: Result<(), Failure>, delays: &[Duration], now: Timestamp) -> Self {
        let Err(failure) = outcome else { return Self::Ack };
        let mut copy = wire;
        copy.strip_brokers_own();
        if matches!(failure, Failure::NotIts(_)) {
            // The settings have one delay at least.
            let after = delays.iter().min().copied().unwrap_or_default();
            return Self::HandBack { after, copy };
        }
        let attempts = copy.count(header::ATTEMPT).saturating_add(1);
        copy.set(header::ATTEMPT, attempts.to_string());
        copy.set(header::FAILED_AT, now.to_rfc3339());
        let error = match failure {
            Failure::Dead(reason) => {
                copy.set(header::CAUSE, limited(&cause("refused", &reason), MAX_TEXT_BYTES));
                return Self::dead(copy, &reason);
            }
            Failure::Retry(error) | Failure::NotIts(error) => {
                copy.set(header::CAUSE, limited(&cause("failed", &error), MAX_TEXT_BYTES));
                error
            }
            Failure::Panic(place) => {
                let what = place.map_or_else(
                    || "the handler panicked".to_owned(),
                    |place| format!("the handler panicked at {place}"),
                );
                copy.set(header::CAUSE, limited(&what, MAX_TEXT_BYTES));
                let panics = copy.count(PANICS).saturating_add(1);
                copy.set(PANICS, panics.to_string());
                if panics >= MAX_PANICS {
                    return Self::dead(copy, &format!("the handler panicked {panics} times"));
                }
                what
            }
        };
        if copy.header(header::FIRST_ERROR).is_none() {
            copy.set(header::FIRST_ERROR, limited(&error, MAX_TEXT_BYTES));
        }
        copy.set(header::LAST_ERROR, limited(&error, MAX_TEXT_BYTES));
        let rung = usize::try_from(attempts - 1).unwrap_or(usize::MAX);
        match delays.get(rung) {
            Some(&after) => Self::Delay { after, copy },
            None => Self::dead(copy, &format!("{attempts} attempts are used up")),
        }
    }

    /// Its name in the metric `waypost_messages_total`.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Delay { .. } => "retry",
            Self::Dead { .. } => "dead_letter",
            Self::HandBack { .. } => "handed_back",
        }
    }

    fn dead(mut copy: Wire, reason: &str) -> Self {
        copy.set(header::REASON, limited(reason, MAX_TEXT_BYTES));
        Self::Dead { copy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(1)];
    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn settle(wire: Wire, failure: Failure) -> Settlement {
        Settlement::of(wire, Err(failure), &LADDER, NOW)
    }

    #[test]
    fn a_message_climbs_the_ladder_and_then_is_set_aside() {
        let mut wire = Wire::default();
        wire.set("x-death", "kept by nobody");
        for (attempt, delay) in LADDER.into_iter().enumerate() {
            let Settlement::Delay { after, copy } = settle(wire, Failure::Retry(format!("error {attempt}"))) else {
                panic!("attempt {attempt} was not delayed");
            };
            assert_eq!(after, delay);
            wire = copy;
        }
        let Settlement::Dead { copy } = settle(wire, Failure::Retry("error 2".into())) else {
            panic!("it was not set aside");
        };
        assert_eq!(copy.header(header::FIRST_ERROR), Some("error 0"));
        assert_eq!(copy.header(header::LAST_ERROR), Some("error 2"));
        assert_eq!(copy.header(header::CAUSE), Some("failed: error *"));
        assert_eq!(copy.header(header::REASON), Some("3 attempts are used up"));
        assert_eq!(copy.count(header::ATTEMPT), 3);
        assert_eq!(copy.header("x-death"), None);
    }

    #[test]
    fn the_fifth_panic_is_the_last() {
        let mut wire = Wire::default();
        let ladder = [Duration::from_secs(1); 9];
        for _ in 1..MAX_PANICS {
            let Settlement::Delay { copy, .. } = Settlement::of(wire, Err(Failure::Panic(None)), &ladder, NOW) else {
                panic!("too early");
            };
            wire = copy;
        }
        let Settlement::Dead { copy } = Settlement::of(wire, Err(Failure::Panic(None)), &ladder, NOW) else {
            panic!("too late");
        };
        assert_eq!(copy.header(header::REASON), Some("the handler panicked 5 times"));
    }

    #[test]
    fn what_a_message_is_not_to_blame_for_costs_it_nothing_however_often() {
        let mut wire = Wire::default();
        wire.set(header::ATTEMPT, "1");
        wire.set("x-delivery-count", "19");
        for _ in 0..100 {
            let Settlement::HandBack { after, copy } = settle(wire, Failure::NotIts("no database".into())) else {
                panic!("it was blamed");
            };
            assert_eq!(after, LADDER[0]);
            wire = copy;
        }
        assert_eq!(
            wire.headers.into_iter().collect::<Vec<_>>(),
            [(header::ATTEMPT.to_owned(), "1".to_owned())]
        );
    }

    #[test]
    fn what_cannot_pass_is_set_aside_at_once() {
        let Settlement::Dead { copy } = settle(Wire::default(), Failure::Dead("unknown type".into())) else {
            panic!("it was tried again");
        };
        assert_eq!(
            (copy.header(header::REASON), copy.count(header::ATTEMPT)),
            (Some("unknown type"), 1)
        );
    }
}
