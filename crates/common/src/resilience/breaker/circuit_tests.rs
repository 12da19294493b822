//! The breaker, step by step, by a clock of its own.

use super::*;
use crate::resilience::breaker::machine::PROBING;
use crate::resilience::breaker::window::Counted;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(start: Instant) -> Arc<Breaker> {
    Breaker::with_jitter(BreakerOptions::default(), start, Box::new(|_| {}), || 0.0)
}

fn fail(breaker: &Arc<Breaker>, times: usize, now: Instant) {
    for _ in 0..times {
        breaker.admit(now).unwrap().report(Verdict::Failure, now);
    }
}

#[test]
fn it_opens_at_the_failure_rate_but_not_before_the_minimum() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 4, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open);
    assert_eq!(breaker.admit(now + SECOND).unwrap_err().retry_after, 4 * SECOND);
}

#[test]
fn failures_that_are_old_no_longer_count() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 4, now);
    fail(&breaker, 4, now + 31 * SECOND);
    assert_eq!(breaker.state(now + 31 * SECOND), BreakerState::Closed);
}

#[test]
fn failures_that_are_old_no_longer_count_also_where_no_call_came_since() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 4, now);
    let later = now + 31 * SECOND;
    assert!(!breaker.wants_hint(later));
    breaker.hint(30 * SECOND, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
    assert_eq!(breaker.view(later).counted, Counted::default());
}

#[test]
fn it_opens_when_most_calls_are_slow() {
    let now = Instant::now();
    let breaker = breaker(now);
    for _ in 0..5 {
        breaker.admit(now).unwrap().report(Verdict::Success, now + 6 * SECOND);
    }
    assert_eq!(breaker.state(now + 6 * SECOND), BreakerState::Open);
}

#[test]
fn it_closes_when_its_probes_pass_and_admits_no_more_than_those() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    let later = now + 5 * SECOND;
    let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    // Not when the probes must have ended, but soon: they may be back at any moment.
    assert_eq!(breaker.admit(later).unwrap_err().retry_after, PROBING);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    first.report(Verdict::Success, later);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    second.report(Verdict::Success, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
}

#[test]
fn the_time_open_doubles_up_to_a_minute_and_calm_resets_it() {
    let mut now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    for expected in [5, 10, 20, 40, 60, 60] {
        let wait = breaker.admit(now).unwrap_err().retry_after;
        assert_eq!(wait, expected * SECOND);
        now += wait;
        fail(&breaker, 1, now);
    }
    now += breaker.admit(now).unwrap_err().retry_after;
    for _ in 0..2 {
        breaker.admit(now).unwrap().report(Verdict::Success, now);
    }
    now += 60 * SECOND;
    fail(&breaker, 5, now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, 5 * SECOND);
}

#[test]
fn chance_keeps_replicas_apart_also_at_the_longest_time_open() {
    let mut now = Instant::now();
    let breaker = Breaker::with_jitter(BreakerOptions::default(), now, Box::new(|_| {}), || 1.0);
    fail(&breaker, 5, now);
    for expected in [6, 12, 24, 48, 72, 72] {
        let wait = breaker.admit(now).unwrap_err().retry_after;
        assert_eq!(wait, expected * SECOND);
        now += wait;
        fail(&breaker, 1, now);
    }
}

#[test]
fn a_probe_that_never_ends_is_a_failure() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    let probe = breaker.admit(now + 5 * SECOND).unwrap();
    let past = now + 15 * SECOND;
    assert_eq!(breaker.state(past), BreakerState::Open);
    probe.report(Verdict::Success, past);
    assert_eq!(
        breaker.state(past),
        BreakerState::Open,
        "a late success of an old generation decides nothing"
    );
}

#[test]
fn a_probe_that_was_not_made_or_not_to_its_end_frees_its_place() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    let later = now + 5 * SECOND;
    let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    assert!(breaker.admit(later).is_err());
    first.release(later);
    drop(second);
    let (third, fourth) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    third.report(Verdict::Success, later);
    fourth.report(Verdict::Success, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
}

#[test]
fn a_caller_that_goes_away_says_nothing_of_the_destination() {
    let now = Instant::now();
    let breaker = breaker(now);
    for _ in 0..50 {
        drop(breaker.admit(now).unwrap());
    }
    assert_eq!(breaker.view(now).counted, Counted::default());
    fail(&breaker, 4, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
}

#[test]
fn each_transition_is_told_once_with_its_ground() {
    let now = Instant::now();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let watch = move |transition: Transition| heard.lock().push(transition);
    let breaker = Breaker::with_jitter(BreakerOptions::default(), now, Box::new(watch), || 0.0);
    fail(&breaker, 5, now);
    let later = now + 5 * SECOND;
    for _ in 0..3 {
        breaker.state(later);
    }
    for _ in 0..2 {
        breaker.admit(later).unwrap().report(Verdict::Success, later);
    }
    let told = told.lock();
    let states: Vec<_> = told.iter().map(|transition| transition.to).collect();
    assert_eq!(
        states,
        [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]
    );
    assert_eq!(told[0].open_for, Some(5 * SECOND));
    assert_eq!(
        told[0].counted,
        Counted {
            calls: 5,
            failed: 5,
            slow: 0
        }
    );
}

#[test]
fn another_replica_s_open_breaker_makes_two_own_failures_enough_and_none_is_not() {
    let now = Instant::now();
    let breaker = breaker(now);
    assert!(!breaker.wants_hint(now), "nothing failed here");
    breaker.hint(30 * SECOND, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&breaker, 1, now);
    assert_eq!(breaker.state(now), BreakerState::Open);
}

#[test]
fn a_hint_that_comes_after_the_failures_opens_and_an_old_one_does_nothing() {
    let now = Instant::now();
    let breaker = breaker(now);
    breaker.hint(SECOND, now);
    let later = now + SECOND;
    fail(&breaker, 2, later);
    assert_eq!(breaker.state(later), BreakerState::Closed);
    assert!(breaker.wants_hint(later));
    breaker.hint(30 * SECOND, later);
    assert_eq!(breaker.state(later), BreakerState::Open);
    assert!(!breaker.wants_hint(later));
}

#[test]
fn a_result_from_before_it_opened_does_not_close_or_reopen_it() {
    let now = Instant::now();
    let breaker = breaker(now);
    let early = breaker.admit(now).unwrap();
    fail(&breaker, 5, now);
    let later = now + 5 * SECOND;
    let _probe = breaker.admit(later).unwrap();
    early.report(Verdict::Failure, later);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
}

#[test]
fn modes_overrule_what_is_counted() {
    let now = Instant::now();
    let with = |mode| {
        let breaker = breaker(now);
        breaker.set_mode(mode, None, now);
        breaker
    };
    assert!(with(BreakerMode::ForcedOpen).admit(now).is_err());
    let watching = with(BreakerMode::MetricsOnly);
    fail(&watching, 20, now);
    assert_eq!(watching.state(now), BreakerState::Open);
    assert!(watching.admit(now).is_ok());
    let closed = with(BreakerMode::ForcedClosed);
    fail(&closed, 20, now);
    assert_eq!(closed.state(now), BreakerState::Closed);
}

#[test]
fn a_mode_ends_by_itself_and_what_was_seen_before_stays() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 4, now);
    breaker.set_mode(BreakerMode::ForcedOpen, Some(10 * SECOND), now);
    let view = breaker.view(now + SECOND);
    assert_eq!((view.state, view.mode), (BreakerState::Open, BreakerMode::ForcedOpen));
    assert_eq!(view.mode_ends_in, Some(9 * SECOND));
    // Somebody may end it before: it is asked again from time to time.
    assert_eq!(breaker.admit(now + SECOND).unwrap_err().retry_after, 5 * SECOND);
    assert_eq!(breaker.admit(now + 8 * SECOND).unwrap_err().retry_after, 2 * SECOND);
    let later = now + 10 * SECOND;
    assert_eq!(breaker.view(later).mode, BreakerMode::On);
    assert_eq!(breaker.state(later), BreakerState::Closed);
    fail(&breaker, 1, later);
    assert_eq!(breaker.state(later), BreakerState::Open);
}

#[test]
fn while_it_is_forced_closed_no_probe_is_taken_and_none_stays_behind() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    let half_open = now + 5 * SECOND;
    let under_way = breaker.admit(half_open).unwrap();
    breaker.set_mode(BreakerMode::ForcedClosed, Some(60 * SECOND), half_open);
    under_way.report(Verdict::Success, half_open);
    for second in 0..60 {
        let at = half_open + second * SECOND;
        breaker.admit(at).unwrap().report(Verdict::Success, at);
    }
    let after = half_open + 60 * SECOND;
    assert_eq!(breaker.state(after), BreakerState::HalfOpen);
    for _ in 0..2 {
        breaker.admit(after).unwrap().report(Verdict::Success, after);
    }
    assert_eq!(breaker.state(after), BreakerState::Closed);
}

#[test]
fn somebody_may_have_an_open_one_probed_at_once_unless_it_is_forced_open() {
    let now = Instant::now();
    let breaker = breaker(now);
    breaker.probe(now);
    assert_eq!(breaker.state(now), BreakerState::Closed);
    fail(&breaker, 5, now);
    assert!(breaker.admit(now).is_err());
    breaker.probe(now);
    // What it meets opens the breaker again, for longer.
    breaker.admit(now).unwrap().report(Verdict::Failure, now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, 10 * SECOND);
    breaker.set_mode(BreakerMode::ForcedOpen, None, now);
    breaker.probe(now);
    assert!(breaker.admit(now).is_err());
}
