//! The breaker, step by step, by a clock of its own.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(start: Instant) -> Arc<Breaker> {
    Breaker::with_jitter(BreakerOptions::default(), start, || 0.0)
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
    let breaker = Breaker::with_jitter(BreakerOptions::default(), now, || 1.0);
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
fn a_probe_that_was_not_made_frees_its_place_and_a_dropped_one_fails() {
    let now = Instant::now();
    let breaker = breaker(now);
    fail(&breaker, 5, now);
    let later = now + 5 * SECOND;
    let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
    first.release(later);
    let third = breaker.admit(later).unwrap();
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    drop(second);
    assert_eq!(breaker.state(later), BreakerState::Open);
    drop(third);
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
        Breaker::with_jitter(
            BreakerOptions {
                mode,
                ..BreakerOptions::default()
            },
            now,
            || 0.0,
        )
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
