//! resilience-6, a solution: a probe has a deadline, and who does not report by then has failed.

use std::time::Instant;

use parking_lot::Mutex;

use crate::exercises::resilience::half_open::{FAILURES, Guards, OPEN, PROBE};

pub(crate) struct Guard(Mutex<Phase>);

enum Phase {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is under way, and is waited for until then.
    HalfOpen {
        until: Instant,
    },
}

impl Guards for Guard {
    fn new() -> Self {
        Self(Mutex::new(Phase::Closed { failures: 0 }))
    }

    fn admit(&self, now: Instant) -> bool {
        let mut phase = self.0.lock();
        match *phase {
            Phase::Closed { .. } => true,
            // Open for long enough, or a probe that never came back: the next one asks.
            Phase::Open { until } | Phase::HalfOpen { until } if now >= until => {
                *phase = Phase::HalfOpen { until: now + PROBE };
                true
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => false,
        }
    }

    fn report(&self, succeeded: bool, now: Instant) {
        let mut phase = self.0.lock();
        *phase = match *phase {
            _ if succeeded => Phase::Closed { failures: 0 },
            Phase::Closed { failures } if failures + 1 < FAILURES => Phase::Closed { failures: failures + 1 },
            _ => Phase::Open { until: now + OPEN },
        };
    }
}
