//! The lock that processes share.

use std::time::Duration;

use common::config::Service;
use common::process::Tasks;
use common::store::{Guard, Locks, Store, Timeouts};
use common::telemetry::Metrics;
use test_support::{PrivateRedis, eventually};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_millis(300);
/// Nothing of what is tried with it may end by itself.
const LONG: Duration = Duration::from_mins(5);

async fn store(url: &str, prefix: &str) -> Store {
    let timeouts = Timeouts {
        response: Duration::from_secs(1),
        connect: Duration::from_secs(5),
    };
    let store = Store::open(url, prefix, timeouts, &Tasks::new(Service::UserApi)).unwrap();
    assert!(store.connected(SOON).await);
    store
}

fn locks(store: &Store) -> Locks {
    Locks::new(
        store.clone(),
        Tasks::new(Service::UserApi),
        Metrics::new(Service::UserApi),
    )
}

async fn taken(locks: &Locks, lease: Duration) -> Option<Guard> {
    locks.try_acquire("test", "a", lease).await.unwrap()
}

macro_rules! on_both {
    ($($point:ident),+ $(,)?) => {
        mod redis { $(#[tokio::test] async fn $point() {
            super::$point(super::store(&test_support::redis_url(), &format!("test-{}", super::Uuid::now_v7())).await).await;
        })+ }
        mod memory { $(#[tokio::test] async fn $point() { super::$point(super::store("memory://", "test").await).await; })+ }
    };
}

on_both!(
    one_holds_it_until_it_is_released,
    it_is_renewed_for_as_long_as_it_is_held,
    a_holder_whose_lock_is_taken_is_told_and_takes_nothing_back,
    a_dropped_lock_ends_with_its_lease,
    a_holder_that_stood_still_for_its_lease_has_lost_it_though_it_is_first_to_give_it_up,
);

async fn one_holds_it_until_it_is_released(store: Store) {
    let locks = locks(&store);
    let guard = taken(&locks, LONG).await.unwrap().fenced(7);
    assert_eq!(guard.fence(), Some(7));
    assert!(taken(&locks, LONG).await.is_none());
    assert!(locks.try_acquire("test", "b", LONG).await.unwrap().is_some());
    guard.release().await;
    assert!(taken(&locks, LONG).await.is_some());
}

async fn it_is_renewed_for_as_long_as_it_is_held(store: Store) {
    let locks = locks(&store);
    let guard = taken(&locks, LEASE).await.unwrap();
    let end = tokio::time::Instant::now() + LEASE * 5;
    while tokio::time::Instant::now() < end && !guard.lost().is_cancelled() {
        assert!(taken(&locks, LEASE).await.is_none() || guard.lost().is_cancelled());
        tokio::time::sleep(LEASE / 10).await;
    }
    // A machine that stood still for longer than the lease loses it, and says so.
    if !guard.lost().is_cancelled() {
        guard.release().await;
    }
    assert!(taken(&locks, LEASE).await.is_some());
}

async fn a_holder_whose_lock_is_taken_is_told_and_takes_nothing_back(store: Store) {
    let locks = locks(&store);
    let guard = taken(&locks, LEASE).await.unwrap();
    // As if it had ended, and somebody else had it now.
    store.set("lock:test:a", b"another", LONG).await.unwrap();
    tokio::time::timeout(SOON, guard.lost().cancelled()).await.unwrap();
    guard.release().await;
    assert_eq!(
        store.get("lock:test:a").await.unwrap().as_deref(),
        Some(&b"another"[..])
    );
}

async fn a_dropped_lock_ends_with_its_lease(store: Store) {
    let locks = locks(&store);
    drop(taken(&locks, LEASE).await.unwrap());
    eventually(SOON, async || taken(&locks, LONG).await.is_some()).await;
}

async fn a_holder_that_stood_still_for_its_lease_has_lost_it_though_it_is_first_to_give_it_up(store: Store) {
    let guard = taken(&locks(&store), LEASE).await.unwrap();
    let lost = guard.lost().clone();
    // The whole process: nothing else runs on this thread, the renewal neither.
    std::thread::sleep(LEASE);
    guard.release().await;
    assert!(lost.is_cancelled());
}

#[tokio::test]
async fn without_its_server_a_lock_is_lost_when_its_lease_is_over_and_none_is_given() {
    let redis = PrivateRedis::start().await;
    let locks = locks(&store(&redis.url(), "test").await);
    let guard = taken(&locks, LEASE).await.unwrap();
    redis.freeze();
    tokio::time::timeout(SOON, guard.lost().cancelled()).await.unwrap();
    assert!(locks.try_acquire("test", "b", LEASE).await.is_err());
    redis.thaw();
}
