//! Reads that hardly touch the database, and a crowd that asks for one value at once.
//!
//! `cargo run --example 01_redis_cache [-- --redis redis://127.0.0.1:6379]`
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use clap::Parser;
use common::Timestamp;
use common::config::Service;
use common::process::Tasks;
use common::store::cache::{Layer, LoadError, Loaded};
use common::store::{Cache, CacheKey, CacheOptions, Locks, Store, Timeouts};
use common::telemetry::Metrics;
use futures_util::future::{join_all, try_join_all};

/// Readers who come at once.
const CROWD: usize = 200;
/// How long a value is kept by hand.
const LIFE: Duration = Duration::from_mins(5);
/// How long the store may take: enough for a Redis on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Arguments {
    /// The store; in memory unless a Redis is named
    #[arg(long, default_value = "memory://")]
    redis: String,
}

/// The table of profiles: a query takes 10 ms, and each is counted.
#[derive(Clone, Default)]
struct Database(Arc<AtomicUsize>);

impl Database {
    async fn find(self, id: u32) -> Result<Option<Loaded<String>>, LoadError> {
        self.0.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (version, value) = (1, format!("person {id}"));
        Ok(Some(Loaded { version, value }))
    }
}

/// The key of a profile: one type of key, one type of value.
struct Profile(u32);

impl CacheKey for Profile {
    type Value = String;
    const FORMAT: u8 = 1;
    const MAY_BE_STALE: bool = true;
    fn store_key(&self) -> String {
        format!("profile:{}", self.0)
    }
}

/// One more replica's cache. Nothing is answered from its process before it hears what others change.
async fn replica(store: &Store, tasks: &Tasks) -> Cache<Profile> {
    let metrics = Metrics::new(tasks.service());
    let cache = Cache::new(store.clone(), CacheOptions::default(), metrics, tasks.clone());
    cache.hears_others(PATIENCE).await;
    cache
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { redis } = Arguments::parse();
    let tasks = Tasks::new(Service::UserApi);
    let (response, connect, prefix) = (PATIENCE, PATIENCE, uuid::Uuid::now_v7().to_string());
    let store = Store::open(&redis, &prefix, Timeouts { response, connect }, &tasks)?;
    anyhow::ensure!(store.connected(PATIENCE).await, "no Redis answers at {redis}");
    println!("{:<46}{:<13}queries so far", "a read", "answered by");
    layers(&store, &tasks).await?;
    println!("\n{CROWD} readers of a value that nobody has read                queries");
    let locks = Locks::new(store.clone(), tasks.clone(), Metrics::new(Service::UserApi));
    let (alone, locked) = (crowd(&store, None).await, crowd(&store, Some(&locks)).await);
    println!("{:<59}{alone}", "look, load, keep");
    println!("{:<59}{locked}", "look, lock, look again, load, keep");
    println!("{:<59}{}", "the cache of this house", house(&store, &tasks).await?);
    tasks.shut_down(PATIENCE).await?;
    Ok(())
}

/// Replicas over one store read a profile, and one of them changes it.
async fn layers(store: &Store, tasks: &Tasks) -> anyhow::Result<()> {
    let (one, two) = (replica(store, tasks).await, replica(store, tasks).await);
    let (database, now) = (Database::default(), Timestamp::now());
    show("replica 1", &one, now, &database).await?;
    show("replica 1 again", &one, now, &database).await?;
    show("replica 2", &two, now, &database).await?;
    show("replica 2 again", &two, now, &database).await?;
    // A write goes through, after its commit: the new value stands in both layers, under the row's version.
    one.put(&Profile(1), 2, &"a new name".to_owned(), now).await;
    show("replica 1 after it wrote a new name", &one, now, &database).await?;
    show("replica 3, just started", &replica(store, tasks).await, now, &database).await
}

async fn show(who: &str, cache: &Cache<Profile>, now: Timestamp, database: &Database) -> anyhow::Result<()> {
    let rows = database.clone();
    let read = cache.read(&Profile(1), now, move || rows.find(1)).await?;
    let layer = match read.layer {
        Layer::InProcess => "process",
        Layer::Store => "store",
        Layer::Database => "database",
    };
    println!("{who:<46}{layer:<13}{}", database.0.load(SeqCst));
    Ok(())
}

/// A crowd of readers who cache by hand, with a lock or without; gives back the queries that they made.
async fn crowd(store: &Store, locks: Option<&Locks>) -> usize {
    let (key, database) = (format!("locked {}", locks.is_some()), Database::default());
    join_all((0..CROWD).map(|_| read_by_hand(store, locks, &key, &database))).await;
    database.0.load(SeqCst)
}

/// Cache-aside by hand. Under the lock one loads, and the others look until they find what it kept.
async fn read_by_hand(store: &Store, locks: Option<&Locks>, key: &str, database: &Database) -> Option<()> {
    let mut guard = None;
    while store.get(key).await.ok()?.is_none() {
        if let (Some(locks), None) = (locks, &guard) {
            guard = locks.try_acquire("example", key, PATIENCE).await.ok()?;
            if guard.is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // Somebody may have kept it between the look and the lock.
            continue;
        }
        let row = database.clone().find(1).await.ok()??;
        let kept = store.set(key, row.value.as_bytes(), LIFE);
        kept.await.ok()?;
    }
    if let Some(guard) = guard {
        guard.release().await;
    }
    Some(())
}

/// The same crowd at two replicas of the house's cache: one query a process, and over Redis one for all of them.
async fn house(store: &Store, tasks: &Tasks) -> anyhow::Result<usize> {
    let replicas = [replica(store, tasks).await, replica(store, tasks).await];
    let database = Database::default();
    try_join_all((0..CROWD).map(|n| {
        let rows = database.clone();
        replicas[n % 2].read(&Profile(2), Timestamp::now(), move || rows.find(2))
    }))
    .await?;
    Ok(database.0.load(SeqCst))
}
