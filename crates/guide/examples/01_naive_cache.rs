//! The smallest cache-aside, and what it gets wrong: a stale set, a lost invalidation, a stampede.
//!
//! `cargo run --example 01_naive_cache -- stale-set` (or `lost-invalidation`, `stampede`)
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use common::config::Service;
use common::process::Tasks;
use common::store::{Heard, Store, StoreError, Subscription, Timeouts};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::sleep;

/// How long an entry lives.
const LIFE: Duration = Duration::from_mins(5);
/// What a query takes.
const QUERY: Duration = Duration::from_millis(10);
/// Readers who come at once.
const CROWD: usize = 200;

#[derive(Parser)]
struct Arguments {
    fault: Fault,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    StaleSet,
    LostInvalidation,
    Stampede,
}

/// The table: one row, Ada's name.
struct Database {
    name: Mutex<String>,
    asked: AtomicUsize,
}

impl Database {
    fn of(name: &str) -> Self {
        let (name, asked) = (Mutex::new(name.to_owned()), AtomicUsize::new(0));
        Self { name, asked }
    }

    /// Asks for the name; the row is read at once, and the answer takes `way` to come.
    async fn find(&self, way: Duration) -> String {
        self.asked.fetch_add(1, SeqCst);
        let name = self.name.lock().clone();
        sleep(way).await;
        name
    }

    fn rename(&self, name: &str) {
        name.clone_into(&mut self.name.lock());
    }
}

/// Cache-aside: look into the store; on a miss ask the database, and keep what it said.
async fn read(store: &Store, database: &Database, way: Duration) -> Result<String, StoreError> {
    if let Some(kept) = store.get("ada").await? {
        return Ok(String::from_utf8_lossy(&kept).into_owned());
    }
    let name = database.find(way).await;
    store.set("ada", name.as_bytes(), LIFE).await?;
    Ok(name)
}

/// Write-through: change the row, then the cache.
async fn rename(store: &Store, database: &Database, name: &str) -> Result<(), StoreError> {
    database.rename(name);
    store.set("ada", name.as_bytes(), LIFE).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open("memory://", "", Timeouts::default(), &tasks)?;
    match Arguments::parse().fault {
        Fault::StaleSet => stale_set(&store).await?,
        Fault::LostInvalidation => lost_invalidation(&store).await?,
        Fault::Stampede => stampede(&store).await?,
    }
    tasks.shut_down(QUERY).await?;
    Ok(())
}

/// A reader asks the database, is slow to hear the answer, and keeps it over what was written meanwhile.
async fn stale_set(store: &Store) -> anyhow::Result<()> {
    let database = Database::of("Ada Byron");
    let slow_reader = read(store, &database, QUERY * 5);
    let writer = async {
        sleep(QUERY).await;
        rename(store, &database, "Ada Lovelace").await
    };
    let (slow, written) = tokio::join!(slow_reader, writer);
    written?;
    println!("the slow reader was answered   {}", slow?);
    println!("the database says              {}", database.find(QUERY).await);
    println!(
        "the cache says                 {}",
        read(store, &database, QUERY).await?
    );
    println!("and goes on to say so for      {} s", LIFE.as_secs());
    Ok(())
}

/// A replica that keeps what it read in its own memory, and drops what it is told of.
struct Replica(HashMap<&'static str, String>);

impl Replica {
    async fn read(&mut self, store: &Store, database: &Database) -> Result<String, StoreError> {
        if let Some(kept) = self.0.get("ada") {
            return Ok(kept.clone());
        }
        let name = read(store, database, QUERY).await?;
        self.0.insert("ada", name.clone());
        Ok(name)
    }

    /// Drops what was changed, as far as it hears of it.
    async fn hear(&mut self, mut changes: Subscription) {
        let news = async {
            while let Ok(heard) = changes.next().await {
                if matches!(heard, Heard::Message(_)) {
                    return;
                }
            }
        };
        if tokio::time::timeout(QUERY * 5, news).await.is_ok() {
            self.0.clear();
        }
    }
}

/// Two replicas keep Ada in memory; one of them has no subscription in the moment of the change.
async fn lost_invalidation(store: &Store) -> anyhow::Result<()> {
    let database = Database::of("Ada Byron");
    let (mut one, mut two) = (Replica(HashMap::new()), Replica(HashMap::new()));
    for replica in [&mut one, &mut two] {
        replica.read(store, &database).await?;
    }
    let of_one = store.subscribe("changes").await?;
    rename(store, &database, "Ada Lovelace").await?;
    store.publish("changes", b"ada").await?;
    let of_two = store.subscribe("changes").await?;
    one.hear(of_one).await;
    two.hear(of_two).await;
    println!("the database says              {}", database.find(QUERY).await);
    println!("replica 1, which heard, says   {}", one.read(store, &database).await?);
    println!("replica 2, which did not       {}", two.read(store, &database).await?);
    Ok(())
}

/// A value that nobody has read yet is asked for by many at once.
async fn stampede(store: &Store) -> anyhow::Result<()> {
    let database = Database::of("Ada Byron");
    let reads = join_all((0..CROWD).map(|_| read(store, &database, QUERY))).await;
    let answers = reads.into_iter().collect::<Result<Vec<_>, _>>()?;
    let asked = database.asked.load(SeqCst);
    println!(
        "{} readers of one value asked the database {asked} times",
        answers.len()
    );
    Ok(())
}
