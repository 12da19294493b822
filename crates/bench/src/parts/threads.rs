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
use common::{
    Timestamp,
    config::Service,
    process::Tasks,
    store::{Cache, CacheKey, CacheOptions, Limits, Store, cache::Layer},
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
/// Two threads that shared a lock would do the work of one, or less.
const TARGET: f64 = 1.6;

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
    let mut turns = THREADS.map(|_| Vec::new());
    for _ in 0..effort.rounds {
        for (count, turns) in THREADS.iter().zip(&mut turns) {
            turns.push(take(*count).await?);
        }
    }
    let medians = turns.map(median);
    let rows = THREADS.iter().zip(medians).map(|(count, per_second)| {
        let name = format!("{count} thread{}", if *count == 1 { "" } else { "s" });
        Row::new(
            name,
            &[("reads/s", per_second), ("of one thread", per_second / medians[0])],
        )
    });
    let measured = medians[1] / medians[0];
    Ok(Part {
        title: "Reads that the process itself answers, by threads",
        conditions: vec![format!(
            "{KEYS} keys that all read, no HTTP, metrics counted; on all cores; {} turns of {LENGTH:?} each, medians",
            effort.rounds
        )],
        rows: rows.collect(),
        checks: vec![Check {
            what: "two threads / one thread, on two cores",
            measured,
            target: ">= 1.60",
            holds: measured >= TARGET,
        }],
        bottleneck:
            "The read in the process is bounded by its core: as many threads as there are cores read so much more"
                .to_owned(),
    })
}

/// Reads a second of so many threads, in a process that may use all cores.
async fn take(threads: usize) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = tokio::task::spawn_blocking(move || {
        let mut everywhere = Command::new("taskset");
        everywhere
            .args(["-c", "0-1023"])
            .arg(&program)
            .arg("read-on")
            .arg(threads.to_string());
        everywhere.output()
    });
    let output = output.await?.context("taskset can't be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("it said: {text}"))
}

/// Reads a cache in `threads` threads, and prints how many reads a second that makes.
pub(crate) fn read_on(threads: usize) -> ExitCode {
    match reads_a_second(threads) {
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

fn reads_a_second(threads: usize) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tasks = Tasks::new(Service::UserApi);
        let store = Store::open("memory://", "bench", Limits::default(), &tasks)?;
        let cache = Cache::<Key>::new(store, CacheOptions::default(), Metrics::new(Service::UserApi), tasks);
        for key in 0..KEYS {
            cache.put(&Key(key), 1, &"x".repeat(300), Timestamp::now()).await;
        }
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut readers = tokio::task::JoinSet::new();
        for first in 0..threads {
            readers.spawn(read(cache.clone(), first, Arc::clone(&over), Arc::clone(&done)));
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
