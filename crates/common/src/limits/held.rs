//! What a process holds of one caller: tokens that it drew ahead, or until when there are none.
//!
//! All times are microseconds of the store's clock. A token has a slot: the interval by which drawing it pushed the
//! arrival on. It is good until its slot begins; after that it is as if it had been used. So tokens that are used later
//! than drawn never add up to more than the limit: the requests that they let pass, taken at the times at which they do
//! pass, fit one after another into their slots, and so owe no more at any moment than the store counts. A process that
//! dies, or whose caller goes away, takes nothing with it: by the time its tokens end, the store has as many new ones.

use crate::resilience::{Drawn, Quota};

/// What a process knows of one caller.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The furthest arrival that is known of; slots of tokens in hand included.
    arrival: i64,
    /// Tokens in hand.
    tokens: i64,
    /// The end of the last token's slot.
    slots_end: i64,
    /// Before then the store has no token.
    refused_until: i64,
    /// Whether somebody is drawing several: whoever comes meanwhile draws one.
    is_drawing: bool,
}

/// What can be said at once of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It takes a token that was in hand.
    Pass,
    /// There is none before this time.
    Refuse { until: i64 },
    /// The store must be asked for so many; `known` is what it must not have forgotten.
    Draw { wanted: i64, known: i64 },
}

impl Held {
    /// Takes a token in hand, or says what else is to be done. `batch` tokens are drawn at a time.
    pub(super) fn step(&mut self, quota: Quota, now: i64, batch: i64) -> Step {
        if self.take_token(quota, now) {
            return Step::Pass;
        }
        if let Some(until) = self.refused_until(quota, now) {
            return Step::Refuse { until };
        }
        let wanted = if self.is_drawing { 1 } else { batch };
        self.is_drawing = true;
        Step::Draw {
            wanted,
            known: self.arrival,
        }
    }

    /// When the store has a token again, while it has none.
    pub(super) fn refused_until(&self, quota: Quota, now: i64) -> Option<i64> {
        // A time further off than one can be is another clock's: Redis was replaced.
        let is_refused = now < self.refused_until && self.refused_until - now <= quota.interval();
        is_refused.then_some(self.refused_until)
    }

    /// Keeps what the store granted; the first token is for the request that asked.
    pub(super) fn keep(&mut self, quota: Quota, drawn: &Drawn) {
        self.is_drawing = false;
        // Answers may overtake each other; an arrival that can't be is another clock's.
        let before = self.arrival.min(drawn.now + quota.ceiling());
        self.arrival = drawn.arrival.max(before);
        if drawn.granted > 1 {
            self.tokens = drawn.granted - 1;
            self.slots_end = drawn.arrival;
        }
        self.refused_until = if drawn.granted == 0 {
            quota.next(drawn.arrival)
        } else {
            0
        };
    }

    /// Decides without the store, from what is known.
    pub(super) fn draw_alone(&mut self, quota: Quota, now: i64) -> Drawn {
        let drawn = quota.draw(self.arrival, now, 1);
        self.keep(quota, &drawn);
        drawn
    }

    /// How many more requests would pass.
    pub(super) fn remaining(&self, quota: Quota, now: i64) -> i64 {
        quota.free(self.arrival, now) + self.tokens
    }

    /// When the caller owes nothing any more.
    pub(super) fn whole_at(&self) -> i64 {
        self.arrival
    }

    fn take_token(&mut self, quota: Quota, now: i64) -> bool {
        let first_slot = self.slots_end - self.tokens * quota.interval();
        if self.tokens > 0 && now > first_slot {
            // Rounded up: a slot that has begun is over.
            let over = (now - first_slot + quota.interval() - 1) / quota.interval();
            self.tokens = (self.tokens - over).max(0);
        }
        let has_one = self.tokens > 0;
        self.tokens -= i64::from(has_one);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const BATCH: i64 = 10;

    /// Three processes over one store, as the limiter runs them.
    fn pass(held: &mut Held, kept: &mut i64, quota: Quota, now: i64) -> bool {
        match held.step(quota, now, BATCH) {
            Step::Pass => true,
            Step::Refuse { .. } => false,
            Step::Draw { wanted, known } => {
                let drawn = quota.draw((*kept).max(known), now, wanted);
                *kept = drawn.arrival;
                held.keep(quota, &drawn);
                drawn.granted > 0
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Whenever they are used, tokens that were drawn ahead let no more pass than one bucket that all share.
        #[test]
        fn three_processes_never_let_more_pass_than_one_bucket(
            asks in prop::collection::vec((prop_oneof![0..2_000_i64, 0..60_000_i64, 0..900_000_i64], 0..3_usize), 1..600),
        ) {
            let (interval, burst) = (10_000_i64, 50_i64);
            let quota = Quota::token_bucket(6_000.0, 50);
            let (mut held, mut kept) = (<[Held; 3]>::default(), 0);
            let (mut now, mut passed) = (1_000_000_i64, VecDeque::new());
            for (step, process) in asks {
                now += step;
                if pass(&mut held[process], &mut kept, quota, now) {
                    passed.push_back(now);
                }
            }
            let mut owed = 0;
            for at in passed {
                owed = owed.max(at) + interval;
                prop_assert!(owed - at <= burst * interval, "more passed than the burst and the rate allow");
            }
        }
    }

    #[test]
    fn even_traffic_over_three_processes_gets_the_whole_limit() {
        let quota = Quota::token_bucket(6_000.0, 50);
        let (mut held, mut kept) = (<[Held; 3]>::default(), 0);
        // A minute at one and a half times the limit, a request each 6,667 us.
        let passed = (0..9_000_i64).filter(|n| {
            let process = usize::try_from(n % 3).unwrap();
            pass(&mut held[process], &mut kept, quota, 1_000_000 + n * 6_667)
        });
        let passed = passed.count();
        assert!((6_040..=6_050).contains(&passed), "{passed}");
    }

    #[test]
    fn a_refusal_is_remembered_until_its_time_is_up() {
        let quota = Quota::token_bucket(60.0, 2);
        let (mut held, mut kept) = (Held::default(), 0);
        let pass = |held: &mut Held, kept: &mut i64, now| pass(held, kept, quota, now);
        assert!(pass(&mut held, &mut kept, 1) && pass(&mut held, &mut kept, 1));
        assert!(!pass(&mut held, &mut kept, 1));
        assert!(matches!(held.step(quota, 2, BATCH), Step::Refuse { .. }));
        assert!(matches!(held.step(quota, 1_000_001, BATCH), Step::Draw { .. }));
        // The clock went back by an hour: the refusal is not another hour's.
        assert!(matches!(held.step(quota, -3_600_000_000, BATCH), Step::Draw { .. }));
    }
}
