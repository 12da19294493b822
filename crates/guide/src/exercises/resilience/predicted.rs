//! resilience-1 and resilience-2: the learner predicts a number or an order; the check runs the scene and compares.

use std::time::{Duration, Instant};

use common::resilience::{Breaker, BreakerOptions, BreakerState, RetryBudget, Verdict};

use crate::exercises::exercise::{Attempt, Verdict as Judged};

/// Calls that come at the same moment, and the retries that each would make.
const CALLS: usize = 95;
const RETRIES: usize = 3;

/// resilience-1: how often a provider that is away is called, by calls that share a budget of retries.
pub(crate) fn tries(attempt: &Attempt) -> Judged {
    let answer = attempt.answered("resilience-1")?;
    let now = Instant::now();
    let budget = RetryBudget::new(now);
    let mut tries = 0;
    for _ in 0..CALLS {
        budget.earn();
        tries += 1 + (0..RETRIES).take_while(|_| budget.spend(now)).count();
    }
    if answer != tries.to_string() {
        return Err(format!(
            "You said {answer}. It was run, and the provider was called another number of times: count the first tries, \
             then the retries that were there at the start, then those that {CALLS} calls earn."
        ));
    }
    Ok(format!(
        "{CALLS} calls became {tries}; without a budget there would have been {}.",
        CALLS * (1 + RETRIES)
    ))
}

/// resilience-2: the state of a breaker at six moments of a bad half minute.
pub(crate) fn states(attempt: &Attempt) -> Judged {
    let answer = attempt.answered("resilience-2")?;
    let start = Instant::now();
    let at = |second| start + Duration::from_secs(second);
    let breaker = Breaker::new(BreakerOptions::default(), start);
    let mut seen = String::new();
    let mut look = |second| seen.push(letter(breaker.state(at(second))));
    let call = |begins, ends, verdict| {
        if let Ok(permit) = breaker.admit(at(begins)) {
            permit.report(verdict, at(ends));
        }
    };
    for second in 0..4 {
        call(second, second, Verdict::Failure);
    }
    look(3);
    call(4, 4, Verdict::Failure);
    look(5);
    look(11);
    call(11, 11, Verdict::Success);
    look(12);
    call(13, 19, Verdict::Success);
    look(20);
    look(32);
    if answer == seen {
        return Ok(format!("{seen}: the breaker stood at each moment as you said."));
    }
    let same = answer
        .chars()
        .zip(seen.chars())
        .take_while(|(said, is)| said == is)
        .count();
    Err(format!(
        "You said {answer}. It was run: the first {same} of 6 are right. One letter a moment: c for closed, o for open, h \
         for half-open."
    ))
}

const fn letter(state: BreakerState) -> char {
    match state {
        BreakerState::Closed => 'c',
        BreakerState::HalfOpen => 'h',
        BreakerState::Open => 'o',
    }
}
