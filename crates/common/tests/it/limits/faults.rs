//! Redis hangs, dies, comes back empty: the limit holds in each replica, nobody is let down, and it is exact again soon.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    config::Service,
    process::Tasks,
    store::{Store, Timeouts},
};
use test_support::{PrivateRedis, eventually};

use super::fixture::{LIMIT, Passed, Replica, anybody, by_rate, float, hammer, three};

const BURST: f64 = 100.0;
/// Exact again so long after Redis is back. A dial that comes to nothing ends after 250 ms, the next one follows 100 ms later,
/// and a breaker that is open lets somebody ask after 240 ms: a busy machine has the rest.
const EXACT_AGAIN: Duration = Duration::from_secs(2);

fn within(passed: &[Passed], from: Instant, to: Instant) -> Vec<usize> {
    let inside = passed.iter().filter(|(at, _)| (from..to).contains(at));
    inside.map(|(_, by)| *by).collect()
}

/// In each replica no more than the limit twice.
fn each_kept_its_limit(fault: &str, passed: &[Passed], (from, to): (Instant, Instant)) {
    let most = 2.0 * (BURST + by_rate(to - from));
    let inside = within(passed, from, to);
    let each = [0, 1, 2].map(|replica| inside.iter().filter(|by| **by == replica).count());
    println!(
        "{fault} for {:?}: {each:?} passed, of {most:.0} at most in each",
        to - from
    );
    let kept = each.iter().all(|count| float(*count) <= most);
    assert!(kept, "{fault}: {each:?} of {most}");
    assert!(!inside.is_empty(), "{fault}: nobody passed");
}

/// A time, and how many each replica had let pass without Redis by then.
type Mark = (Instant, [u64; 3]);

/// From two seconds after the return, no more than the rate in all of them: no burst is given a second time.
///
/// Who has to wait too long for this machine, and not for Redis, decides alone; that is not what is asked here. A replica
/// that goes on without Redis passes the whole rate alone: half of that is more than a busy machine makes of it.
fn exact_again(fault: &str, passed: &[Passed], (from, before): Mark, (end, after): Mark) {
    let alone = [0, 1, 2].map(|replica| usize::try_from(after[replica] - before[replica]).unwrap());
    let most = BURST / 5.0 + by_rate(end - from);
    let count = within(passed, from, end).len();
    println!(
        "{fault}, and back: {count} passed in {:?}, {alone:?} of them without Redis, of {most:.0} at most",
        end - from
    );
    let shared = float(count.saturating_sub(alone.iter().sum()));
    assert!(shared <= most, "{fault}: {shared} of {most}");
    let most_alone = by_rate(end - from) / 2.0;
    let is_back = alone.iter().all(|count| float(*count) <= most_alone);
    assert!(is_back, "{fault}: {alone:?} went on without Redis, of {most_alone:.0}");
}

/// Waits until each replica has asked Redis again, which must be soon, and then until all must be exact.
async fn exact_after(back: Instant, replicas: &[Arc<Replica>; 3]) -> Mark {
    let before = replicas.each_ref().map(|replica| replica.decided("drawn"));
    for (replica, before) in replicas.iter().zip(before) {
        let left = EXACT_AGAIN.saturating_sub(back.elapsed());
        eventually(left, async || replica.decided("drawn") > before).await;
    }
    println!("asked again {:?} after the return", back.elapsed());
    tokio::time::sleep_until((back + EXACT_AGAIN).into()).await;
    mark(replicas)
}

async fn after(span: Duration, replicas: &[Arc<Replica>; 3]) -> Mark {
    tokio::time::sleep(span).await;
    mark(replicas)
}

fn mark(replicas: &[Arc<Replica>; 3]) -> Mark {
    let alone = replicas.each_ref().map(|replica| replica.decided("alone"));
    (Instant::now(), alone)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_killed_and_flushed_leaves_each_replica_its_limit_and_all_are_exact_again() {
    let mut redis = PrivateRedis::start().await;
    let replicas = three(LIMIT, (&redis.url(), Timeouts::default()), [0, 0, 0]).await;
    let subject = anybody();
    let load = hammer(&replicas, subject, Instant::now() + Duration::from_secs(24));
    let faults = async {
        let (a_while, second) = (Duration::from_secs(2), Duration::from_secs(1));
        let after = async |span| after(span, &replicas).await;
        let exact_after = async |back| exact_after(back, &replicas).await;
        let mut at = vec![after(second).await];
        redis.freeze();
        at.push(after(a_while).await);
        redis.thaw();
        at.extend([exact_after(Instant::now()).await, after(a_while).await]);
        redis.kill();
        at.push(after(a_while).await);
        redis.start().await;
        at.extend([exact_after(Instant::now()).await, after(a_while).await]);
        redis.command(&["FLUSHALL"]).await;
        at.extend([exact_after(Instant::now()).await, after(a_while).await]);
        at
    };
    let ((passed, mut took), at) = tokio::join!(load, faults);
    each_kept_its_limit("frozen", &passed, (at[0].0, at[1].0));
    exact_again("frozen", &passed, at[2], at[3]);
    each_kept_its_limit("killed", &passed, (at[3].0, at[4].0));
    exact_again("killed", &passed, at[5], at[6]);
    each_kept_its_limit("flushed", &passed, (at[6].0, at[7].0));
    exact_again("flushed", &passed, at[7], at[8]);
    took.sort();
    let waited = took.iter().filter(|took| **took >= Duration::from_millis(45));
    println!(
        "{} decisions: {} took 45 ms or longer, the slowest {:?}, half of them at most {:?}",
        took.len(),
        waited.count(),
        took[took.len() - 1],
        took[took.len() / 2],
    );
    let slowest = took[took.len() - 1];
    assert!(slowest < Duration::from_secs(5), "somebody waited for Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_never_met_redis_holds_its_limit() {
    let redis = PrivateRedis::prepare();
    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open(&redis.url(), "limits", Timeouts::default(), &tasks).unwrap();
    let (replica, subject, began) = (Replica::new(LIMIT, store, 0), anybody(), Instant::now());
    let mut passed = 0;
    for _ in 0..500 {
        passed += usize::from(replica.passes(subject).await);
    }
    let most = BURST + by_rate(began.elapsed());
    println!("{passed} of 500 passed without Redis; the limit is {most:.0}");
    assert!(passed >= 100 && float(passed) <= most, "{passed} of {most}");
}
