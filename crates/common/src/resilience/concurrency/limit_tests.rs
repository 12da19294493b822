//! Who is let in, step by step, and what holds whatever happens.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limit(most: usize, now: Instant) -> Arc<ConcurrencyLimit> {
    ConcurrencyLimit::new(ConcurrencyOptions { least: 4, most }, 2, now)
}

/// How many of a priority are let in, one after the other, until one is refused.
fn filled(limit: &Arc<ConcurrencyLimit>, priority: Priority, now: Instant) -> Vec<InFlight> {
    std::iter::from_fn(|| limit.admit(priority, 0, now).ok()).collect()
}

#[test]
fn what_matters_less_is_refused_at_a_lower_share() {
    let now = Instant::now();
    let limit = limit(100, now);
    let sheddable = filled(&limit, Priority::Sheddable, now);
    assert_eq!(sheddable.len(), 70);
    let normal = filled(&limit, Priority::Normal, now);
    assert_eq!(normal.len(), 20);
    assert!(limit.admit(Priority::Sheddable, 0, now).is_err());
    let critical = filled(&limit, Priority::Critical, now);
    assert_eq!(critical.len(), 10);
    assert_eq!(limit.admit(Priority::Critical, 0, now).unwrap_err().retry_after, SECOND);
    drop(normal);
    assert_eq!(limit.in_flight(), 80);
    assert!(limit.admit(Priority::Normal, 0, now).is_ok());
}

#[test]
fn at_its_least_there_is_still_an_order() {
    let now = Instant::now();
    let limit = limit(4, now);
    let mut places = filled(&limit, Priority::Sheddable, now);
    assert_eq!(places.len(), 2);
    places.extend(filled(&limit, Priority::Normal, now));
    assert_eq!(places.len(), 3);
    places.extend(filled(&limit, Priority::Critical, now));
    assert_eq!(places.len(), 4);
}

#[test]
fn a_place_is_free_again_however_its_request_ended() {
    let now = Instant::now();
    let limit = limit(100, now);
    let [first, second, third] = [0; 3].map(|operation| limit.admit(Priority::Normal, operation, now).unwrap());
    assert_eq!(limit.in_flight(), 3);
    first.finish(Outcome::Succeeded, now + SECOND);
    second.finish(Outcome::Failed, now + SECOND);
    drop(third);
    assert_eq!(limit.in_flight(), 0);
}

#[test]
fn who_left_a_place_comes_back_whoever_came_meanwhile_and_its_time_begins_anew() {
    let mut now = Instant::now();
    let limit = limit(8, now);
    let left = filled(&limit, Priority::Critical, now).pop().unwrap();
    drop(left);
    let others = filled(&limit, Priority::Critical, now);
    assert!(limit.admit(Priority::Critical, 0, now).is_err());
    now += 60 * SECOND;
    let back = limit.admit_again(0, now);
    drop(others);
    assert_eq!(limit.in_flight(), 1);
    back.finish(Outcome::Succeeded, now + Duration::from_millis(1));
    assert_eq!((limit.in_flight(), limit.limit(now)), (0, 8));
}

#[test]
fn slow_requests_that_are_few_are_no_overload() {
    let mut now = Instant::now();
    let limit = limit(100, now);
    for n in 0..1_000 {
        let took = if n < 500 { 1 } else { 400 };
        let place = limit.admit(Priority::Normal, 0, now).unwrap();
        now += Duration::from_millis(took);
        place.finish(Outcome::Succeeded, now);
    }
    assert_eq!(limit.limit(now), 100);
}

#[test]
fn refusals_by_a_rule_are_fast_and_teach_nothing() {
    let mut now = Instant::now();
    let limit = limit(100, now);
    let mut run = |outcome, millis| {
        let place = limit.admit(Priority::Normal, 0, now).unwrap();
        now += Duration::from_millis(millis);
        place.finish(outcome, now);
    };
    (0..100).for_each(|_| run(Outcome::Succeeded, 20));
    (0..100).for_each(|_| run(Outcome::Failed, 0));
    // Were they taken for what one takes alone, these would be a queue of twenty.
    let start = now;
    for n in 0..400_u64 {
        let at = start + Duration::from_millis(5 * n);
        let places: Vec<_> = (0..60)
            .filter_map(|_| limit.admit(Priority::Normal, 0, at).ok())
            .collect();
        for place in places {
            place.finish(Outcome::Succeeded, at + Duration::from_millis(20));
        }
    }
    assert_eq!(limit.limit(start + 10 * SECOND), 100);
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Admit(Priority, usize),
    Finish(usize, Outcome),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![
        Just(Priority::Critical),
        Just(Priority::Normal),
        Just(Priority::Sheddable)
    ];
    prop_oneof![
        (0_u64..400).prop_map(Step::Pass),
        (priority, 0_usize..3).prop_map(|(priority, operation)| Step::Admit(priority, operation)),
        (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, succeeded)| {
            let outcome = if succeeded { Outcome::Succeeded } else { Outcome::Failed };
            Step::Finish(at.index(usize::MAX), outcome)
        }),
        any::<prop::sample::Index>().prop_map(|at| Step::Drop(at.index(usize::MAX))),
    ]
}

proptest! {
    #[test]
    fn the_limit_stays_in_its_bounds_and_nobody_is_let_in_above_it(
        steps in proptest::collection::vec(step(), 1..600),
        least in 1_usize..8,
        more in 0_usize..60,
    ) {
        let mut now = Instant::now();
        let options = ConcurrencyOptions { least, most: least + more };
        // The third operation is one that the limit does not know.
        let limit = ConcurrencyLimit::new(options, 2, now);
        let mut places = Vec::new();
        for step in steps {
            match step {
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Admit(priority, operation) => {
                    let before = places.len();
                    match limit.admit(priority, operation, now) {
                        Ok(place) => {
                            prop_assert!(before < limit.limit(now), "{before} of {}", limit.limit(now));
                            places.push(place);
                        }
                        // Who matters most is refused for want of a place alone.
                        Err(_) if priority == Priority::Critical => prop_assert!(before >= limit.limit(now)),
                        Err(_) => prop_assert!(before > 0),
                    }
                }
                Step::Finish(at, outcome) if !places.is_empty() => {
                    places.swap_remove(at % places.len()).finish(outcome, now);
                }
                Step::Drop(at) if !places.is_empty() => drop(places.swap_remove(at % places.len())),
                Step::Finish(..) | Step::Drop(_) => {}
            }
            prop_assert_eq!(limit.in_flight(), places.len());
            prop_assert!((least..=least + more).contains(&limit.limit(now)));
        }
        places.clear();
        prop_assert_eq!(limit.in_flight(), 0);
    }
}
