//! What several replicas see of each other's changes, over one Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use common::Timestamp;
use common::config::Service;
use common::process::Tasks;
use common::store::cache::{Layer, LoadError, Loaded, Read};
use common::store::{Cache, CacheOptions, Store, Timeouts};
use common::telemetry::Metrics;
use test_support::{PrivateRedis, eventually};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::cache::{Row, SOON, UNHURRIED, value};

/// What is promised without the store: so long after a change nobody answers with what was before.
const BOUND: Duration = Duration::from_secs(2);

/// 100 ms are the goal, on a quiet machine.
const AT_ONCE: Duration = Duration::from_millis(400);

/// A row in a database that counts how often it is asked, and may be slow.
#[derive(Clone, Default)]
struct Source(Arc<Inner>);

#[derive(Default)]
struct Inner {
    version: AtomicU64,
    asked: AtomicUsize,
    takes_ms: AtomicU64,
}

impl Source {
    fn set(&self, version: u64) {
        self.0.version.store(version, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn load(self) -> Result<Option<Loaded<String>>, LoadError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let version = self.0.version.load(Ordering::SeqCst);
        sleep(Duration::from_millis(self.0.takes_ms.load(Ordering::SeqCst))).await;
        let value = format!("version {version}");
        Ok((version > 0).then_some(Loaded { version, value }))
    }
}

/// One process: its connections, its cache.
struct Replica {
    store: Store,
    cache: Cache<Row>,
    metrics: Metrics,
}

impl Replica {
    async fn new(url: &str, prefix: &str, options: CacheOptions, timeouts: Timeouts) -> Self {
        let (tasks, metrics) = (Tasks::new(Service::UserApi), Metrics::new(Service::UserApi));
        let store = Store::open(url, prefix, timeouts, &tasks).unwrap();
        assert!(store.connected(SOON).await);
        let cache = Cache::new(store.clone(), options, metrics.clone(), tasks);
        assert!(cache.hears_others(SOON).await);
        // A machine with much to do may have found it slow at first.
        eventually(SOON, async || store.is_settled()).await;
        Self { store, cache, metrics }
    }

    async fn read(&self, source: &Source, now: Timestamp) -> Read {
        let source = source.clone();
        self.cache.read(&Row("a"), now, move || source.load()).await.unwrap()
    }

    async fn write(&self, source: &Source, version: u64) {
        source.set(version);
        let value = format!("version {version}");
        self.cache.put(&Row("a"), version, &value, Timestamp::now()).await;
    }
}

async fn three(url: &str, options: CacheOptions) -> [Replica; 3] {
    three_with(url, options, Timeouts::default()).await
}

async fn three_with(url: &str, options: CacheOptions, timeouts: Timeouts) -> [Replica; 3] {
    let prefix = format!("test-{}", Uuid::now_v7());
    let replica = || Replica::new(url, &prefix, options, timeouts);
    [replica().await, replica().await, replica().await]
}

/// Everything that could not be written is repaired.
fn nothing_waits(replica: &Replica) -> bool {
    let pending = "waypost_cache_repairs_pending{service=\"user-api\"} 0";
    replica.metrics.render().contains(pending)
}

fn version(read: &Read) -> u64 {
    value(read).map_or(0, |(version, _)| version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_write_others_answer_with_it_at_once_and_the_writer_never_with_what_was_before() {
    let [writer, reader, _] = three(&test_support::redis_url(), CacheOptions::default()).await;
    let source = Source::default();
    // What was promised never gives; how soon it is there is judged by the best of three rounds, since the machine may
    // have others' work to do in one.
    let mut best = BOUND;
    for round in 0..3 {
        let mut took = Vec::new();
        for version_now in round * 200 + 1..=(round + 1) * 200 {
            writer.write(&source, version_now).await;
            let answered = Instant::now();
            assert_eq!(version(&writer.read(&source, Timestamp::now()).await), version_now);
            took.push(until_read(&reader, &source, version_now, answered).await);
        }
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        println!(
            "another replica answers with a write after {:?} (p50), {p99:?} (p99)",
            took[took.len() / 2]
        );
        best = best.min(p99);
        if best < AT_ONCE {
            return;
        }
    }
    panic!("{best:?} (p99) in the best of three rounds");
}

/// How long after `answered` a replica answers with `expected`.
async fn until_read(reader: &Replica, source: &Source, expected: u64, answered: Instant) -> Duration {
    loop {
        let read = reader.read(source, Timestamp::now()).await;
        if version(&read) == expected {
            return answered.elapsed();
        }
        assert!(answered.elapsed() < BOUND, "{expected}: {read:?}");
        sleep(Duration::from_micros(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_on_three_replicas_cost_one_query_at_the_expiry_of_a_hot_key() {
    let options = CacheOptions {
        deadline: Duration::from_secs(10),
        lease: Duration::from_secs(10),
        ..CacheOptions::default()
    };
    for (what, is_there) in [("stale", true), ("not there", false)] {
        let replicas = three_with(&test_support::redis_url(), options, UNHURRIED).await;
        let source = Source::default();
        source.set(1);
        source.0.takes_ms.store(100, Ordering::SeqCst);
        let mut now = Timestamp::now();
        if is_there {
            replicas[0].write(&source, 1).await;
            now = now + options.fresh + Duration::from_secs(1);
        }
        let readers = (0..1_000).map(|n| replicas[n % 3].read(&source, now));
        let reads = futures_util::future::join_all(readers).await;
        assert!(reads.iter().all(|read| version(read) == 1));
        println!(
            "1,000 readers on three replicas, the key {what}: {} queries",
            source.asked()
        );
        assert_eq!(source.asked(), 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_of_the_lock_that_dies_costs_its_lease() {
    let [here, there, _] = three(&test_support::redis_url(), CacheOptions::default()).await;
    let source = Source::default();
    source.set(1);
    let lease = CacheOptions::default().lease;
    // It took the lock and was killed.
    eventually(SOON, async || {
        there.store.set("lock:load:row:a", b"dead", lease).await.is_ok()
    })
    .await;
    let began = Instant::now();
    let read = here.read(&source, Timestamp::now()).await;
    println!(
        "a lock whose holder died with a lease of {lease:?} was waited for {:?}",
        began.elapsed()
    );
    assert_eq!((version(&read), source.asked()), (1, 1));
    assert!(
        here.metrics
            .render()
            .contains("waypost_lock_wait_duration_seconds_count{service=\"user-api\",lock=\"load\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_nothing_old_is_answered_after_two_seconds_nor_when_it_is_back() {
    for kills in [false, true] {
        let mut redis = PrivateRedis::start().await;
        let [writer, reader, other] = three(&redis.url(), CacheOptions::default()).await;
        let source = Source::default();
        writer.write(&source, 1).await;
        for replica in [&reader, &other] {
            eventually(SOON, async || {
                let read = replica.read(&source, Timestamp::now()).await;
                read.layer == Layer::InProcess && version(&read) == 1
            })
            .await;
        }
        if kills {
            redis.kill();
        } else {
            redis.freeze();
        }
        writer.write(&source, 2).await;
        let written = Instant::now();
        let (mut reads, mut newest) = (0, None);
        while written.elapsed() < BOUND + Duration::from_secs(1) {
            assert_eq!(version(&writer.read(&source, Timestamp::now()).await), 2);
            for replica in [&reader, &other] {
                let began = written.elapsed();
                let is_new = version(&replica.read(&source, Timestamp::now()).await) == 2;
                assert!(is_new || began < BOUND, "old after {began:?}");
                if !is_new {
                    newest = Some(began);
                }
                reads += 1;
            }
            sleep(Duration::from_millis(2)).await;
        }
        if kills {
            redis.start().await;
        } else {
            redis.thaw();
        }
        let back = Instant::now();
        while back.elapsed() < BOUND {
            for replica in [&writer, &reader, &other] {
                assert_eq!(version(&replica.read(&source, Timestamp::now()).await), 2);
            }
            sleep(Duration::from_millis(2)).await;
        }
        println!("killed {kills}: {reads} reads without the store, the last old one {newest:?} after the write");
        eventually(SOON, async || nothing_waits(&writer)).await;
        // It heals: the process answers again.
        eventually(SOON, async || {
            let read = reader.read(&source, Timestamp::now()).await;
            assert_eq!(version(&read), 2);
            read.layer == Layer::InProcess
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_are_remembered_make_all_old_that_stands_in_the_store() {
    let redis = PrivateRedis::start().await;
    let [writer, reader, _] = three(&redis.url(), CacheOptions::default()).await;
    let source = Source::default();
    writer.write(&source, 1).await;
    redis.freeze();
    eventually(SOON, async || {
        writer.store.get("x").await.is_err() && !writer.store.is_settled()
    })
    .await;
    for n in 0..10_050_u64 {
        let name: &'static str = Box::leak(n.to_string().into_boxed_str());
        writer.cache.put(&Row(name), 1, &"x".to_owned(), Timestamp::now()).await;
    }
    // Not remembered by its name any more.
    writer.write(&source, 2).await;
    redis.thaw();
    let back = Instant::now();
    loop {
        let read = reader.read(&source, Timestamp::now()).await;
        if version(&read) == 2 {
            break;
        }
        assert!(back.elapsed() < BOUND, "{read:?}");
        sleep(Duration::from_millis(5)).await;
    }
    eventually(SOON, async || nothing_waits(&writer)).await;
    // What stood there from before is read from the database, whoever reads it.
    writer
        .cache
        .put(&Row("fresh"), 1, &"x".to_owned(), Timestamp::now())
        .await;
    assert_eq!(version(&reader.read(&source, Timestamp::now()).await), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_nobody_saw_the_end_of_is_looked_up_by_all() {
    let [writer, reader, _] = three(&test_support::redis_url(), CacheOptions::default()).await;
    let source = Source::default();
    writer.write(&source, 1).await;
    reader.read(&source, Timestamp::now()).await;
    let told = writer.cache.doubt(&Row("a"), 2);
    told.is_over();
    assert_eq!(version(&writer.read(&source, Timestamp::now()).await), 1);
    assert_eq!(source.asked(), 0, "a change whose end was told is in no doubt");

    let dropped = writer.cache.doubt(&Row("a"), 2);
    // Committed, and whoever would have told the cache is gone.
    source.set(2);
    drop(dropped);
    assert_eq!(version(&writer.read(&source, Timestamp::now()).await), 2);
    eventually(SOON, async || {
        version(&reader.read(&source, Timestamp::now()).await) == 2
    })
    .await;
}
