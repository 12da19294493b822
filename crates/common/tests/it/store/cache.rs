//! Cache-aside reads over all layers.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    Timestamp,
    config::Service,
    process::Tasks,
    store::{
        Cache, CacheKey, CacheOptions, Store, Timeouts,
        cache::{Layer, LoadError, Loaded, Read, ReadError, Reason},
    },
    telemetry::Metrics,
};
use test_support::{PrivateRedis, eventually};
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) const SOON: Duration = Duration::from_secs(20);
/// A life of the in-process layer that no test outlives by chance.
pub(super) const BRIEF: Duration = Duration::from_millis(50);

/// For tests of what is done while the store answers, on a machine where it may take its time to.
pub(super) const UNHURRIED: Timeouts = Timeouts {
    response: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

#[derive(Clone)]
pub(super) struct Row(pub(super) &'static str);

impl CacheKey for Row {
    type Value = String;
    const FORMAT: u8 = 1;
    const MAY_BE_STALE: bool = true;
    fn store_key(&self) -> String {
        format!("row:{}", self.0)
    }
}

/// The same rows, written in a newer form.
struct NewRow(&'static str);

impl CacheKey for NewRow {
    type Value = String;
    const FORMAT: u8 = 2;
    const MAY_BE_STALE: bool = true;
    fn store_key(&self) -> String {
        format!("row:{}", self.0)
    }
}

pub(super) type Found = Result<Option<Loaded<String>>, LoadError>;

/// A table of one row that counts how often it is asked.
#[derive(Clone, Default)]
pub(super) struct Table(Arc<AtomicUsize>);

impl Table {
    pub(super) fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn row(self, version: u64) -> Ready<Found> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let value = format!("version {version}");
        ready(Ok(Some(Loaded { version, value })))
    }

    pub(super) fn nothing(self) -> Ready<Found> {
        self.0.fetch_add(1, Ordering::SeqCst);
        ready(Ok(None))
    }

    pub(super) fn away(self) -> Ready<Found> {
        self.0.fetch_add(1, Ordering::SeqCst);
        ready(Err("the database is away".into()))
    }
}

/// Counts those that run, for as long as it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: Arc<AtomicUsize>, most: &AtomicUsize) -> Self {
        let at_a_time = running.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(at_a_time, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A store that replicas share.
pub(super) async fn shared_store(url: &str) -> Store {
    let tasks = Tasks::new(Service::UserApi);
    let prefix = format!("test-{}", Uuid::now_v7());
    let store = Store::open(url, &prefix, UNHURRIED, &tasks).unwrap();
    assert!(store.connected(SOON).await);
    store
}

/// One replica's cache.
pub(super) async fn cache<K: CacheKey>(store: &Store, options: CacheOptions) -> Cache<K> {
    let metrics = Metrics::new(Service::UserApi);
    let tasks = Tasks::new(Service::UserApi);
    let cache = Cache::new(store.clone(), options, metrics, tasks);
    assert!(cache.hears_others(SOON).await);
    cache
}

pub(super) fn patient() -> CacheOptions {
    CacheOptions {
        in_process: Duration::from_mins(1),
        deadline: Duration::from_secs(10),
        ..CacheOptions::default()
    }
}

pub(super) fn value(read: &Read) -> Option<(u64, &str)> {
    let found = read.found.as_ref()?;
    Some((found.version, std::str::from_utf8(&found.bytes).unwrap()))
}

/// Both backends of the store under each point.
macro_rules! on_both {
    ($($point:ident),+ $(,)?) => {
        mod redis { $(#[tokio::test] async fn $point() { super::$point(super::shared_store(&test_support::redis_url()).await).await; })+ }
        mod memory { $(#[tokio::test] async fn $point() { super::$point(super::shared_store("memory://").await).await; })+ }
    };
}
pub(super) use on_both;

on_both!(
    the_layers_answer_in_their_order,
    nothing_is_remembered_and_gives_way_to_a_row,
    a_write_is_read_at_once,
    an_older_write_changes_nothing,
    another_format_is_a_miss,
    what_is_stale_is_refreshed,
    a_stale_entry_answers_while_the_database_is_away,
);

async fn the_layers_answer_in_their_order(store: Store) {
    let (here, there) = (
        cache::<Row>(&store, patient()).await,
        cache::<Row>(&store, patient()).await,
    );
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    let load = || {
        let table = table.clone();
        move || table.row(3)
    };
    let first = here.read(&key, now, load()).await.unwrap();
    assert_eq!(first.layer, Layer::Database);
    assert_eq!(first.cache_status(), "waypost-redis; fwd=miss");
    let second = here.read(&key, now, load()).await.unwrap();
    assert!(second.cache_status().starts_with("waypost-l1; hit; ttl="));
    let replica = there.read(&key, now, load()).await.unwrap();
    assert!(replica.cache_status().starts_with("waypost-redis; hit; ttl="));
    assert_eq!(value(&replica), Some((3, "\"version 3\"")));
    assert_eq!(table.asked(), 1);
}

async fn nothing_is_remembered_and_gives_way_to_a_row(store: Store) {
    let here = cache::<Row>(&store, patient()).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    for _ in 0..2 {
        let asked = table.clone();
        let read = here.read(&key, now, move || asked.nothing()).await.unwrap();
        assert_eq!(value(&read), None);
    }
    assert_eq!(table.asked(), 1);
    here.put(&key, 1, &"written".to_owned(), now).await;
    let there = cache::<Row>(&store, patient()).await;
    for replica in [here, there] {
        let asked = table.clone();
        let read = replica.read(&key, now, move || asked.nothing()).await.unwrap();
        assert_eq!(value(&read), Some((1, "\"written\"")));
    }
    assert_eq!(table.asked(), 1);
}

async fn a_write_is_read_at_once(store: Store) {
    let here = cache::<Row>(&store, patient()).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    // A slow reader loads version 1 ...
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (here, key, table) = (here.clone(), key.clone(), table.clone());
        let (begun, go_on) = (begun.clone(), go_on.clone());
        async move {
            let load = move || async move {
                begun.notify_one();
                go_on.notified().await;
                table.row(1).await
            };
            here.read(&key, now, load).await.unwrap()
        }
    };
    let write = async {
        begun.notified().await;
        // ... and while it is on its way, version 2 is written.
        here.put(&key, 2, &"version 2".to_owned(), now).await;
        go_on.notify_one();
    };
    futures_util::future::join(slow, write).await;
    for replica in [here, cache(&store, patient()).await] {
        let asked = table.clone();
        let read = replica.read(&key, now, move || asked.row(2)).await.unwrap();
        assert_eq!(value(&read), Some((2, "\"version 2\"")));
    }
}

async fn an_older_write_changes_nothing(store: Store) {
    let here = cache::<Row>(&store, patient()).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 2, &"new".to_owned(), now).await;
    here.put(&key, 1, &"old".to_owned(), now).await;
    for replica in [here, cache(&store, patient()).await] {
        let asked = table.clone();
        let read = replica.read(&key, now, move || asked.row(2)).await.unwrap();
        assert_eq!(value(&read), Some((2, "\"new\"")));
    }
}

async fn another_format_is_a_miss(store: Store) {
    let (old, new) = (
        cache::<Row>(&store, patient()).await,
        cache::<NewRow>(&store, patient()).await,
    );
    let (table, now) = (Table::default(), Timestamp::now());
    old.put(&Row("a"), 1, &"old form".to_owned(), now).await;
    let asked = table.clone();
    let read = new.read(&NewRow("a"), now, move || asked.row(1)).await.unwrap();
    assert_eq!(read.layer, Layer::Database);
}

async fn what_is_stale_is_refreshed(store: Store) {
    let options = CacheOptions {
        in_process: BRIEF,
        ..patient()
    };
    let here = cache::<Row>(&store, options).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    tokio::time::sleep(BRIEF * 2).await;
    let later = now + options.fresh;
    let asked = table.clone();
    let read = here.read(&key, later, move || asked.row(1)).await.unwrap();
    assert_eq!((read.layer, read.reason), (Layer::Database, Reason::Stale));
    assert_eq!(table.asked(), 1);
}

async fn a_stale_entry_answers_while_the_database_is_away(store: Store) {
    let options = CacheOptions {
        in_process: BRIEF,
        ..patient()
    };
    let here = cache::<Row>(&store, options).await;
    let (key, table, now) = (Row("a"), Table::default(), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    tokio::time::sleep(BRIEF * 2).await;
    let later = now + options.fresh + Duration::from_secs(30);
    let asked = table.clone();
    let read = here.read(&key, later, move || asked.away()).await.unwrap();
    assert_eq!(value(&read), Some((1, "\"version 1\"")));
    assert!(read.fresh_for <= -30, "{}", read.fresh_for);
    assert!(read.cache_status().ends_with("; detail=failsafe"));
    // Beyond the time that it is kept for, there is no answer.
    tokio::time::sleep(BRIEF * 2).await;
    let too_late = now + options.stale;
    let asked = table.clone();
    let read = here.read(&key, too_late, move || asked.away()).await;
    assert!(matches!(read, Err(ReadError::Failed(_))));
}

#[tokio::test]
async fn two_thousand_readers_of_a_cold_key_ask_the_database_once() {
    let store = shared_store(&test_support::redis_url()).await;
    let here = cache::<Row>(&store, patient()).await;
    let (table, now) = (Table::default(), Timestamp::now());
    let readers = (0..2000).map(|_| {
        let table = table.clone();
        let here = here.clone();
        async move {
            let slowly = move || async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                table.row(1).await
            };
            here.read(&Row("a"), now, slowly).await.unwrap()
        }
    });
    let reads = futures_util::future::join_all(readers).await;
    assert!(reads.iter().all(|read| value(read).is_some()));
    assert_eq!(table.asked(), 1);
}

#[tokio::test]
async fn a_reader_who_goes_away_leaves_the_load_to_the_others() {
    let store = shared_store("memory://").await;
    let here = cache::<Row>(&store, patient()).await;
    let (table, now) = (Table::default(), Timestamp::now());
    let go_on = Arc::new(Notify::new());
    let gone = {
        let (table, go_on) = (table.clone(), go_on.clone());
        here.read(&Row("a"), now, move || async move {
            go_on.notified().await;
            table.row(1).await
        })
    };
    let gone = tokio::time::timeout(Duration::from_millis(100), gone).await;
    assert!(gone.is_err());
    let asked = table.clone();
    let stays = here.read(&Row("a"), now, move || asked.row(1));
    let (read, ()) = futures_util::future::join(stays, async { go_on.notify_one() }).await;
    assert!(read.is_ok());
    assert_eq!(table.asked(), 1);
}

#[tokio::test]
async fn a_load_that_hangs_ends_at_the_deadline_and_loads_at_a_time_are_bounded() {
    let store = shared_store("memory://").await;
    let options = CacheOptions {
        loads: 2,
        deadline: Duration::from_millis(300),
        ..CacheOptions::default()
    };
    let here = cache::<Row>(&store, options).await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let now = Timestamp::now();
    let readers = ["a", "b", "c", "d", "e"].map(|key| {
        let (running, most, here) = (running.clone(), most.clone(), here.clone());
        async move {
            let hang = move || async move {
                let _one = Running::begin(running, &most);
                std::future::pending().await
            };
            here.read(&Row(key), now, hang).await
        }
    });
    let reads = futures_util::future::join_all(readers).await;
    assert!(reads.iter().all(|read| matches!(read, Err(ReadError::TimedOut))));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_its_store_a_read_goes_to_the_database() {
    let mut redis = PrivateRedis::start().await;
    let store = shared_store(&redis.url()).await;
    let options = CacheOptions {
        in_process: BRIEF,
        ..patient()
    };
    let here = cache::<Row>(&store, options).await;
    let (key, now) = (Row("a"), Timestamp::now());
    here.put(&key, 1, &"version 1".to_owned(), now).await;
    redis.kill();
    tokio::time::sleep(BRIEF * 2).await;
    let table = Table::default();
    let asked = table.clone();
    let read = here.read(&key, now, move || asked.row(1)).await.unwrap();
    assert_eq!(read.layer, Layer::Database);
    redis.start().await;
    // Healed: a replica that has nothing in process reads from the store again.
    eventually(SOON, async || {
        here.put(&key, 1, &"version 1".to_owned(), now).await;
        let (there, asked) = (cache::<Row>(&store, options).await, table.clone());
        let read = there.read(&key, now, move || asked.row(1)).await.unwrap();
        read.layer == Layer::Store
    })
    .await;
}

#[tokio::test]
async fn a_read_waits_once_for_a_store_that_hangs() {
    let redis = PrivateRedis::start().await;
    let timeouts = Timeouts {
        response: Duration::from_secs(2),
        connect: Duration::from_secs(5),
    };
    let store = Store::open(&redis.url(), "hangs", timeouts, &Tasks::new(Service::UserApi)).unwrap();
    assert!(store.connected(SOON).await);
    let here = cache::<Row>(&store, patient()).await;
    redis.freeze();
    let began = std::time::Instant::now();
    let table = Table::default();
    let read = here
        .read(&Row("a"), Timestamp::now(), move || table.row(1))
        .await
        .unwrap();
    assert_eq!(read.layer, Layer::Database);
    // Not once more to write what was loaded.
    assert!(began.elapsed() < timeouts.response * 2, "{:?}", began.elapsed());
}
