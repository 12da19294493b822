//! resilience-6: the caller of a probe goes away, and the breaker waits for its report. Let it find back.
//!
//! Edit this file, then `make exercise E=resilience-6`. The change is in `admit`, and in what `Phase` remembers.

use std::time::Instant;

use parking_lot::Mutex;

use crate::exercises::resilience::half_open::{FAILURES, Guards, OPEN};

pub(crate) struct Guard(Mutex<Phase>);

enum Phase {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is under way.
    HalfOpen,
}

impl Guards for Guard {
    fn new() -> Self {
        Self(Mutex::new(Phase::Closed { failures: 0 }))
    }

    fn admit(&self, now: Instant) -> bool {
        let mut phase = self.0.lock();
        match *phase {
            Phase::Closed { .. } => true,
            Phase::Open { until } if now >= until => {
                *phase = Phase::HalfOpen;
                true
            }
            Phase::Open { .. } | Phase::HalfOpen => false,
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
