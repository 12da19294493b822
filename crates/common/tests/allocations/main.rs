//! What the layers around a call decide costs no allocation while all is well.
//!
//! A test program of its own: it counts what the whole process allocates.

use std::alloc::System;
use std::time::{Duration, Instant};

use common::resilience::{Breaker, BreakerOptions, Bulkhead, Quota, RetryBudget, Verdict};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn letting_a_call_pass_allocates_nothing() {
    let breaker = Breaker::new(BreakerOptions::default(), Instant::now());
    let (budget, places) = (RetryBudget::new(Instant::now()), Bulkhead::new(8));
    let quota = Quota::leaky_bucket_within(6_000.0, Duration::from_secs(1));
    let counted = Region::new(ALLOCATOR);
    for n in 0..1_000 {
        budget.earn();
        let permit = breaker.admit(Instant::now()).ok();
        let drawn = quota.draw(0, n, 1);
        let place = places.enter_at_once();
        assert!(permit.is_some() && place.is_some() && drawn.granted == 1);
        if let Some(permit) = permit {
            permit.report(Verdict::Success, Instant::now());
        }
    }
    let change = counted.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
