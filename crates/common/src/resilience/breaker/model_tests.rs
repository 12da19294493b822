//! The breaker beside a model that keeps every call and counts anew at each step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Breaker, BreakerOptions, BreakerState, Permit, Verdict};

const OPTIONS: BreakerOptions = BreakerOptions {
    window_calls: 8,
    window: Duration::from_millis(400),
    minimum_calls: 4,
    failure_rate: 0.5,
    slow_call: Duration::from_millis(50),
    slow_call_rate: 0.75,
    open_first: Duration::from_millis(100),
    open_limit: Duration::from_millis(400),
    probes: 2,
    probe_deadline: Duration::from_millis(60),
    calm: Duration::from_millis(500),
};

/// What happens at a step, after its pause.
#[derive(Debug, Clone)]
enum Step {
    Begin,
    /// The call that began this many ends with it.
    End(usize, Option<bool>),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        Just(Step::Begin),
        (0..4_usize, prop::option::weighted(0.9, any::<bool>())).prop_map(|(which, ended)| Step::End(which, ended)),
    ];
    prop::collection::vec((prop_oneof![0..5_u64, 0..80_u64, 0..500_u64], step), 1..200)
}

/// All that ever happened, kept plainly.
struct Model {
    state: BreakerState,
    /// When the state was entered, and how long it lasts when it is open.
    since: u64,
    open_for: u64,
    next_open_for: u64,
    /// Since it closed: when each call ended, whether it failed, whether it was slow.
    ended: Vec<(u64, bool, bool)>,
    /// Of the probes: the number of the call, and when it began.
    probes: Vec<(usize, u64)>,
    passed: usize,
    /// Counts the states: a call that began in another one decides nothing.
    era: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            state: BreakerState::Closed,
            since: 0,
            open_for: 0,
            next_open_for: 100,
            ended: Vec::new(),
            probes: Vec::new(),
            passed: 0,
            era: 0,
        }
    }

    fn enter(&mut self, state: BreakerState, now: u64) {
        (self.state, self.since) = (state, now);
        self.era += 1;
        self.ended.clear();
        self.probes.clear();
        self.passed = 0;
        if state == BreakerState::Open {
            self.open_for = self.next_open_for;
            self.next_open_for = (self.next_open_for * 2).min(400);
        }
    }

    fn pass_time(&mut self, now: u64) {
        if self.state == BreakerState::Closed && now - self.since >= 500 {
            self.next_open_for = 100;
        }
        if self.state == BreakerState::HalfOpen && self.probes.iter().any(|(_, began)| now - began >= 60) {
            self.enter(BreakerState::Open, now);
        } else if self.state == BreakerState::Open && now - self.since >= self.open_for {
            self.enter(BreakerState::HalfOpen, now);
        }
    }

    /// Whether a call may begin.
    fn begin(&mut self, call: usize, now: u64) -> bool {
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => {
                let is_free = self.probes.len() + self.passed < 2;
                if is_free {
                    self.probes.push((call, now));
                }
                is_free
            }
        }
    }

    fn end(&mut self, (call, era, began): (usize, u64, u64), ended: Option<bool>, now: u64) {
        if era != self.era {
            return;
        }
        let is_slow = now - began >= 50;
        self.probes.retain(|(probe, _)| *probe != call);
        match (self.state, ended) {
            (_, None) | (BreakerState::Open, _) => {}
            (BreakerState::Closed, Some(failed)) => {
                self.ended.push((now, failed, is_slow));
                let newest = self.ended.iter().rev().take(8);
                let counted: Vec<_> = newest.filter(|(at, ..)| now - at <= 400).collect();
                let failed = counted.iter().filter(|(_, failed, _)| *failed).count();
                let slow = counted.iter().filter(|(.., slow)| *slow).count();
                if counted.len() >= 4 && (failed * 2 >= counted.len() || slow * 4 >= counted.len() * 3) {
                    self.enter(BreakerState::Open, now);
                }
            }
            (BreakerState::HalfOpen, Some(false)) if !is_slow => {
                self.passed += 1;
                if self.passed == 2 {
                    self.enter(BreakerState::Closed, now);
                }
            }
            (BreakerState::HalfOpen, Some(_)) => self.enter(BreakerState::Open, now),
        }
    }
}

/// A call under way: its number, era and beginning, and the breaker's leave.
type Call = ((usize, u64, u64), Permit);

fn step(
    breaker: &Arc<Breaker>,
    model: &mut Model,
    calls: &mut Vec<Call>,
    (number, step, now, at): (usize, Step, u64, Instant),
) -> (bool, bool) {
    match step {
        Step::Begin => {
            let (may, leave) = (model.begin(number, now), breaker.admit(at));
            let admitted = leave.is_ok();
            calls.extend(leave.ok().map(|leave| ((number, model.era, now), leave)));
            (may, admitted)
        }
        Step::End(which, ended) if which < calls.len() => {
            let (call, leave) = calls.remove(which);
            model.end(call, ended, now);
            match ended {
                None => leave.release(at),
                Some(true) => leave.report(Verdict::Failure, at),
                Some(false) => leave.report(Verdict::Success, at),
            }
            (true, true)
        }
        Step::End(..) => (true, true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_decides_as_the_model_does(steps in steps()) {
        let began = Instant::now();
        let breaker = Breaker::with_jitter(OPTIONS, began, Box::new(|_| {}), || 0.0);
        let (mut model, mut calls, mut now) = (Model::new(), Vec::new(), 0);
        for (number, (pause, what)) in steps.into_iter().enumerate() {
            now += pause;
            let at = began + Duration::from_millis(now);
            model.pass_time(now);
            let (expected, found) = step(&breaker, &mut model, &mut calls, (number, what, now, at));
            prop_assert_eq!(expected, found, "at {} ms", now);
            prop_assert_eq!(model.state, breaker.state(at), "at {} ms", now);
        }
    }
}
