//! The in-process layer of the cache, read by one thread, by two, by eight: do they stand in each other's way?

use std::{
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use common::{
    Timestamp,
    config::Service,
    process::Tasks,
    store::{Cache, CacheKey, CacheOptions, Store, Timeouts, cache::Layer},
    telemetry::Metrics,
};
use tokio::time::{Instant, sleep};

use super::figures::median;
use crate::{
    effort::Effort,
    report::{Check, Part, Row},
};

const THREADS: [usize; 3] = [1, 2, 8];
/// Keys that all of them read.
const KEYS: usize = 64;
const LENGTH: Duration = Duration::from_secs(2);
/// By then the cache must know that it hears all changes.
const UP: Duration = Duration::from_secs(5);
/// Least share of what the same threads read when their caches share nothing; one lock for all would halve it.
const TARGET: f64 = 0.6;

struct Key(usize);

impl CacheKey for Key {
    type Value = String;
    const FORMAT: u8 = 1;
    const MAY_BE_STALE: bool = true;
    fn store_key(&self) -> String {
        format!("bench:{}", self.0)
    }
}

pub(crate) async fn threads(effort: Effort) -> anyhow::Result<Part> {
    let mut turns = THREADS.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..effort.rounds {
        for (count, [together, apart]) in THREADS.iter().zip(&mut turns) {
            together.push(take(*count, Sharing::One).await?);
            apart.push(take(*count, Sharing::None).await?);
        }
    }
    let medians = turns.map(|sides| sides.map(median));
    let rows = THREADS.iter().zip(medians).map(|(count, [together, apart])| {
        let name = format!("{count} thread{}", if *count == 1 { "" } else { "s" });
        let figures = [
            ("reads/s", together),
            ("share nothing", apart),
            ("of that", together / apart),
        ];
        Row::new(name, &figures)
    });
    let [_, [together, apart], _] = medians;
    let measured = together / apart;
    Ok(Part {
        title: "Reads that the process itself answers, by threads",
        conditions: vec![format!(
            "{KEYS} keys that all read, no HTTP, metrics counted; on all cores; beside it a cache and metrics for each \
             thread; {} turns of {LENGTH:?} each, medians",
            effort.rounds
        )],
        rows: rows.collect(),
        checks: vec![Check {
            what: "two threads at one cache / two threads at one each",
            measured,
            target: ">= 0.60",
            holds: measured >= TARGET,
        }],
        bottleneck: if measured >= 0.9 {
            "The read in the process is bounded by its core".to_owned()
        } else {
            "The read in the process is bounded by what the threads share: counters of keys, entries and metrics"
                .to_owned()
        },
    })
}

/// How many caches the threads read.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sharing {
    /// One for all.
    One,
    /// One each.
    None,
}

/// Reads a second of so many threads, in a process that may use all cores.
async fn take(threads: usize, sharing: Sharing) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = tokio::task::spawn_blocking(move || {
        let mut everywhere = Command::new("taskset");
        everywhere
            .args(["-c", "0-1023"])
            .arg(&program)
            .arg("read-on")
            .arg(threads.to_string());
        everywhere.arg(if sharing == Sharing::One { "one" } else { "none" });
        everywhere.output()
    });
    let output = output.await?.context("taskset can't be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("it said: {text}"))
}

/// Reads a cache in `threads` threads, and prints how many reads a second that makes.
pub(crate) fn read_on(threads: usize, sharing: Sharing) -> ExitCode {
    match reads_a_second(threads, sharing) {
        Ok(per_second) => {
            println!("{per_second}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn reads_a_second(threads: usize, sharing: Sharing) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut caches = Vec::new();
        for _ in 0..if sharing == Sharing::One { 1 } else { threads } {
            caches.push(filled().await?);
        }
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut readers = tokio::task::JoinSet::new();
        for first in 0..threads {
            let cache = caches[first % caches.len()].clone();
            readers.spawn(read(cache, first, Arc::clone(&over), Arc::clone(&done)));
        }
        let begin = Instant::now();
        sleep(LENGTH).await;
        over.store(true, Relaxed);
        let took = begin.elapsed().as_secs_f64();
        while let Some(reader) = readers.join_next().await {
            reader??;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of reads")]
        let reads = done.load(Relaxed) as f64;
        Ok(reads / took)
    })
}

async fn filled() -> anyhow::Result<Cache<Key>> {
    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open("memory://", "bench", Timeouts::default(), &tasks)?;
    let cache = Cache::<Key>::new(store, CacheOptions::default(), Metrics::new(Service::UserApi), tasks);
    ensure!(cache.hears_others(UP).await, "the cache hears nothing");
    for key in 0..KEYS {
        cache.put(&Key(key), 1, &"x".repeat(300), Timestamp::now()).await;
    }
    Ok(cache)
}

async fn read(cache: Cache<Key>, first: usize, over: Arc<AtomicBool>, done: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut reads = 0;
    for key in (0..KEYS).cycle().skip(first) {
        if reads % 256 == 0 {
            if over.load(Relaxed) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let load = || async { Err("the process did not answer".into()) };
        let read = cache.read(&Key(key), Timestamp::now(), load).await?;
        ensure!(read.layer == Layer::InProcess, "answered by {:?}", read.layer);
        reads += 1;
    }
    done.fetch_add(reads, Relaxed);
    Ok(())
}
