//! What every store promises, held against Redis and against memory.

use std::time::{Duration, Instant};

use common::{
    config::Service,
    process::Tasks,
    store::{Store, Timeouts, Versioned},
};
use uuid::Uuid;

const LONG: Duration = Duration::from_mins(1);

/// Room for a busy machine: the suite asks what is answered, not how fast.
const PATIENT: Timeouts = Timeouts {
    response: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

async fn open(url: &str) -> Store {
    let tasks = Tasks::new(Service::UserApi);
    let prefix = format!("test-{}", Uuid::now_v7());
    let store = Store::open(url, &prefix, PATIENT, &tasks).unwrap();
    assert!(store.connected(Duration::from_secs(10)).await);
    store
}

/// Makes each of the contract's points a test of its own against both backends.
macro_rules! contract {
    ($($point:ident),+ $(,)?) => {
        mod redis { $(#[tokio::test] async fn $point() { super::$point(super::open(&test_support::redis_url()).await).await; })+ }
        mod memory { $(#[tokio::test] async fn $point() { super::$point(super::open("memory://").await).await; })+ }
    };
}

contract!(
    what_is_set_is_got_until_its_time_is_over,
    a_value_is_any_bytes,
    prefixes_keep_stores_apart,
    of_many_that_set_if_absent_one_wins,
    set_if_absent_may_set_again_after_the_end,
    only_the_expected_value_is_deleted,
    a_lower_version_is_refused,
    a_tombstone_keeps_the_same_version_out,
    many_writers_leave_the_highest_version,
    a_plain_value_is_no_versioned_one_and_is_replaced,
    an_entry_without_a_life_is_not_kept,
);

async fn what_is_set_is_got_until_its_time_is_over(store: Store) {
    assert_eq!(store.get("a").await.unwrap(), None);
    store.set("a", b"1", LONG).await.unwrap();
    store.set("a", b"2", Duration::from_secs(2)).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap(), "2");
    let set = Instant::now();
    while store.get("a").await.unwrap().is_some() {
        assert!(set.elapsed() < Duration::from_secs(10), "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_value_is_any_bytes(store: Store) {
    let every: Vec<u8> = (0..=255).collect();
    store.set("bytes", &every, LONG).await.unwrap();
    assert_eq!(store.get("bytes").await.unwrap().unwrap(), every);
    store.set("empty", b"", LONG).await.unwrap();
    assert_eq!(store.get("empty").await.unwrap().unwrap(), "");
    store.put_if_newer("versioned", 1, &every, LONG).await.unwrap();
    let versioned = store.get_versioned("versioned").await.unwrap().unwrap();
    assert_eq!(versioned.value.unwrap(), every);
}

async fn prefixes_keep_stores_apart(store: Store) {
    let other = open(&test_support::redis_url()).await;
    store.set("a", b"1", LONG).await.unwrap();
    assert_eq!(other.get("a").await.unwrap(), None);
}

async fn of_many_that_set_if_absent_one_wins(store: Store) {
    let tries = (0..20).map(|n: u8| {
        let store = store.clone();
        async move { store.set_if_absent("lock", &[n], LONG).await.unwrap() }
    });
    let won = futures_util::future::join_all(tries).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
}

async fn set_if_absent_may_set_again_after_the_end(store: Store) {
    let short = Duration::from_secs(2);
    assert!(store.set_if_absent("lock", b"a", short).await.unwrap());
    assert!(!store.set_if_absent("lock", b"b", short).await.unwrap());
    let set = Instant::now();
    while !store.set_if_absent("lock", b"b", LONG).await.unwrap() {
        assert!(set.elapsed() < Duration::from_secs(10), "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.get("lock").await.unwrap().unwrap(), "b");
}

async fn only_the_expected_value_is_deleted(store: Store) {
    assert!(!store.compare_and_delete("lock", b"mine").await.unwrap());
    store.set("lock", b"theirs", LONG).await.unwrap();
    assert!(!store.compare_and_delete("lock", b"mine").await.unwrap());
    assert!(store.compare_and_delete("lock", b"theirs").await.unwrap());
    assert_eq!(store.get("lock").await.unwrap(), None);
}

async fn a_lower_version_is_refused(store: Store) {
    assert!(store.put_if_newer("row", 9, b"nine", LONG).await.unwrap());
    // 10 is above 9: versions compare as numbers, not as text.
    assert!(store.put_if_newer("row", 10, b"ten", LONG).await.unwrap());
    assert!(!store.put_if_newer("row", 9, b"nine", LONG).await.unwrap());
    assert!(store.put_if_newer("row", 10, b"ten again", LONG).await.unwrap());
    let held = store.get_versioned("row").await.unwrap().unwrap();
    assert_eq!((held.version, held.value.unwrap()), (10, "ten again".into()));
}

async fn a_tombstone_keeps_the_same_version_out(store: Store) {
    store.put_if_newer("row", 5, b"five", LONG).await.unwrap();
    assert!(!store.tombstone("row", 4, LONG).await.unwrap());
    assert!(store.tombstone("row", 5, LONG).await.unwrap());
    assert!(!store.put_if_newer("row", 5, b"five", LONG).await.unwrap());
    let held = store.get_versioned("row").await.unwrap();
    let tombstone = Versioned {
        version: 5,
        value: None,
    };
    assert_eq!(held, Some(tombstone));
    assert!(store.put_if_newer("row", 6, b"six", LONG).await.unwrap());
}

async fn many_writers_leave_the_highest_version(store: Store) {
    let writes = (1..=50_u64).map(|n| {
        let store = store.clone();
        // 7 is prime to 50, so each version comes once, in a mixed order.
        let version = n * 7 % 50 + 1;
        async move {
            let value = version.to_string();
            store
                .put_if_newer("row", version, value.as_bytes(), LONG)
                .await
                .unwrap();
        }
    });
    futures_util::future::join_all(writes).await;
    let held = store.get_versioned("row").await.unwrap().unwrap();
    assert_eq!((held.version, held.value.unwrap()), (50, "50".into()));
}

async fn a_plain_value_is_no_versioned_one_and_is_replaced(store: Store) {
    store.set("row", b"something else", LONG).await.unwrap();
    assert_eq!(store.get_versioned("row").await.unwrap(), None);
    assert!(store.put_if_newer("row", 1, b"one", LONG).await.unwrap());
    assert!(store.get_versioned("row").await.unwrap().is_some());
}

async fn an_entry_without_a_life_is_not_kept(store: Store) {
    store.set("a", b"1", Duration::ZERO).await.unwrap();
    let set = Instant::now();
    while store.get("a").await.unwrap().is_some() {
        assert!(set.elapsed() < Duration::from_secs(10), "it does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
