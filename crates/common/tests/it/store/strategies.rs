//! What one replica's cache does with what is old, slow or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::Timestamp;
use common::store::cache::{Layer, LoadError, Loaded, Reason};
use common::store::{CacheKey, CacheOptions, Store};
use test_support::eventually;
use tokio::sync::Notify;

use super::cache::{BRIEF, Row, SOON, Table, cache, on_both, patient, shared_store, value};

/// What decides about rights.
struct Right(&'static str);

impl CacheKey for Right {
    type Value = String;
    const FORMAT: u8 = 1;
    const MAY_BE_STALE: bool = false;
    fn store_key(&self) -> String {
        format!("right:{}", self.0)
    }
}

on_both!(
    what_is_ageing_is_refreshed_behind_a_hit,
    a_slow_database_is_not_waited_for_where_a_stale_value_is,
    a_database_that_is_away_is_asked_once_in_a_while,
    a_right_is_never_answered_stale,
    what_was_deleted_is_not_brought_back_by_a_slow_reader,
);

async fn what_is_ageing_is_refreshed_behind_a_hit(store: Store) {
    let here = cache::<Row>(&store, patient()).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    let young = now + patient().fresh.mul_f64(0.6);
    let old = now + patient().fresh.mul_f64(0.85);
    for (at, asked) in [(young, 0), (old, 1)] {
        let rows = table.clone();
        let options = CacheOptions {
            in_process: patient().fresh,
            ..patient()
        };
        let replica = cache::<Row>(&store, options).await;
        let read = replica.read(&key, at, move || rows.row(1)).await.unwrap();
        assert_eq!((read.layer, read.reason), (Layer::Store, Reason::Hit));
        eventually(SOON, async || table.asked() == asked).await;
    }
}

async fn a_slow_database_is_not_waited_for_where_a_stale_value_is(store: Store) {
    let options = CacheOptions {
        in_process: BRIEF,
        ..patient()
    };
    let here = cache::<Row>(&store, options).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    let later = now + options.fresh + Duration::from_secs(7);
    let go_on = Arc::new(Notify::new());
    let slowly = {
        let (table, go_on) = (table.clone(), go_on.clone());
        move || async move {
            go_on.notified().await;
            table.row(2).await
        }
    };
    let read = here.read(&key, later, slowly).await.unwrap();
    assert_eq!((value(&read).unwrap().0, read.reason), (1, Reason::FailSafe));
    assert!(read.cache_status().contains("; ttl=-"), "{}", read.cache_status());
    // The next ones do not wait at all, and the load goes on for all of them.
    let rows = table.clone();
    let read = here.read(&key, later, move || rows.row(2)).await.unwrap();
    assert_eq!((value(&read).unwrap().0, table.asked()), (1, 0));
    go_on.notify_one();
    eventually(SOON, async || {
        let rows = table.clone();
        let read = here.read(&key, Timestamp::now(), move || rows.row(2)).await.unwrap();
        value(&read).unwrap().0 == 2
    })
    .await;
    assert_eq!(table.asked(), 1);
}

async fn a_database_that_is_away_is_asked_once_in_a_while(store: Store) {
    let options = CacheOptions {
        in_process: BRIEF,
        rest: Duration::from_millis(400),
        ..patient()
    };
    let here = cache::<Row>(&store, options).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    let later = now + options.fresh + Duration::from_secs(7);
    let (began, mut reads) = (Instant::now(), 0);
    while began.elapsed() < options.rest * 2 || reads < 100 {
        let rows = table.clone();
        let read = here.read(&key, later, move || rows.away()).await.unwrap();
        assert_eq!(read.reason, Reason::FailSafe);
        reads += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let most = usize::try_from(began.elapsed().as_millis() / options.rest.as_millis()).unwrap() + 1;
    println!(
        "{reads} reads while the database is away asked it {} times",
        table.asked()
    );
    assert!((1..=most).contains(&table.asked()), "{}", table.asked());
}

async fn a_right_is_never_answered_stale(store: Store) {
    let options = CacheOptions {
        in_process: BRIEF,
        ..patient()
    };
    let here = cache::<Right>(&store, options).await;
    let (key, now) = (Right("a"), Timestamp::now());
    here.put(&key, 1, &"granted".to_owned(), now).await;
    let later = now + options.fresh;
    for layer in [&here, &cache::<Right>(&store, options).await] {
        let table = Table::default();
        let read = layer.read(&key, later, move || table.away()).await;
        assert!(read.is_err(), "{read:?}");
    }
}

async fn what_was_deleted_is_not_brought_back_by_a_slow_reader(store: Store) {
    let here = cache::<Row>(&store, patient()).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (here, table) = (here.clone(), table.clone());
        let (begun, go_on) = (begun.clone(), go_on.clone());
        async move {
            let load = move || async move {
                begun.notify_one();
                go_on.notified().await;
                table.row(4).await
            };
            here.read(&Row("a"), now, load).await
        }
    };
    let delete = async {
        begun.notified().await;
        here.remove(&key, 5, now).await;
        go_on.notify_one();
    };
    let (_, ()) = futures_util::future::join(slow, delete).await;
    for replica in [here, cache(&store, patient()).await] {
        let gone = table.clone();
        let read = replica.read(&key, now, move || gone.nothing()).await.unwrap();
        assert_eq!(value(&read), None);
    }
}

#[tokio::test]
async fn a_value_nobody_vouches_for_is_answered_only_when_the_database_is_away() {
    let store = shared_store(&test_support::redis_url()).await;
    let here = cache::<Row>(&store, patient()).await;
    let (key, now) = (Row("a"), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    // Somebody could not write what changed: all that stands in the store and in the process is old.
    store.publish("invalidations", b"another\n* 12345").await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    eventually(SOON, async || {
        let asked_now = asked.clone();
        let away = move || async move {
            asked_now.fetch_add(1, Ordering::SeqCst);
            Err::<Option<Loaded<String>>, LoadError>("the database is away".into())
        };
        let read = here.read(&key, now, away).await.unwrap();
        assert_eq!(value(&read).unwrap().0, 1);
        read.reason == Reason::FailSafe
    })
    .await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
