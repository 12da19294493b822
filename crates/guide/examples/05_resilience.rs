//! Two limiters side by side, and an overload with a queue for all and with a limit.
//!
//! `cargo run --example 05_resilience [-- --redis redis://127.0.0.1:6379]`
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use common::config::Service;
use common::limits::{SharedRate, Verdict};
use common::process::Tasks;
use common::resilience::{ConcurrencyLimit, ConcurrencyOptions, InFlight, Outcome, Priority, Quota};
use common::store::{Store, Timeouts};

/// Requests a minute, and at once.
const RATE: f64 = 600.0;
const BURST: u32 = 4;
/// How long the store may take: enough for a Redis on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that a server works at, and what one takes it.
const WORKERS: usize = 4;
const WORK: Duration = Duration::from_millis(10);
/// After so long a caller is gone.
const CALLER_WAITS: Duration = Duration::from_millis(250);
/// What is asked for in each second: half of what the server can do, then ten times as much, then half again.
const ASKED: [u32; 10] = [200, 200, 4000, 4000, 4000, 200, 200, 200, 200, 200];

#[derive(Parser)]
struct Arguments {
    /// The store; in memory unless a Redis is named
    #[arg(long, default_value = "memory://")]
    redis: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { redis } = Arguments::parse();
    let tasks = Tasks::new(Service::UserApi);
    let (response, connect) = (PATIENCE, PATIENCE);
    let prefix = format!("guide:{}", uuid::Uuid::now_v7());
    let store = Store::open(&redis, &prefix, Timeouts { response, connect }, &tasks)?;
    anyhow::ensure!(store.connected(PATIENCE).await, "no Redis answers at {redis}");
    limiters(&store).await;
    overload();
    tasks.shut_down(PATIENCE).await?;
    Ok(())
}

/// Eight requests of one caller at once, at two replicas that share the limit.
async fn limiters(store: &Store) {
    let replica = |quota: Quota, name| SharedRate::new(name, quota, store.clone());
    let (bucket, queue) = (Quota::token_bucket(RATE, BURST), Quota::leaky_bucket(RATE, BURST));
    let buckets = [replica(bucket, "bucket"), replica(bucket, "bucket")];
    let queues = [replica(queue, "queue"), replica(queue, "queue")];
    println!("{:<22}{:<18}leaky bucket", "8 requests at once", "token bucket");
    for n in 0..8 {
        let (bucket, queue) = (buckets[n % 2].turn().await, queues[n % 2].turn().await);
        let bucket = if bucket == Verdict::Pass {
            "passes"
        } else {
            "is refused"
        };
        let queue = match queue {
            Verdict::Pass => "passes".to_owned(),
            Verdict::Wait(turn) => format!("waits {} ms", turn.as_millis()),
            Verdict::Refuse(_) => "is refused".to_owned(),
        };
        println!("at replica {:<11}{bucket:<18}{queue}", n % 2 + 1);
    }
}

/// A server with a clock of its own: nobody waits for real, and each run is the same.
struct Server {
    limit: Option<Arc<ConcurrencyLimit>>,
    /// When each worker is free again.
    free_at: [Instant; WORKERS],
    under_way: VecDeque<(Instant, Option<InFlight>)>,
}

/// What became of the requests of a second.
#[derive(Default)]
struct Tally {
    in_time: u32,
    refused: u32,
}

impl Server {
    fn new(now: Instant, limit: Option<Arc<ConcurrencyLimit>>) -> Self {
        let (free_at, under_way) = ([now; WORKERS], VecDeque::new());
        Self {
            limit,
            free_at,
            under_way,
        }
    }

    /// A request comes: it is refused, or it waits for a worker and then takes its time.
    fn arrive(&mut self, now: Instant, tally: &mut Tally) {
        while self.under_way.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((end, Some(place))) = self.under_way.pop_front() {
                place.finish(Outcome::Succeeded, end);
            }
        }
        let place = self.limit.as_ref().map(|limit| limit.admit(Priority::Normal, 0, now));
        let Ok(place) = place.transpose() else {
            tally.refused += 1;
            return;
        };
        let Some(worker) = self.free_at.iter_mut().min() else {
            return;
        };
        *worker = now.max(*worker) + WORK;
        self.under_way.push_back((*worker, place));
        tally.in_time += u32::from(*worker - now <= CALLER_WAITS);
    }
}

/// The same ten seconds for a server that lets everybody wait, and for one that knows its limit.
fn overload() {
    let start = Instant::now();
    let limit = ConcurrencyLimit::new(ConcurrencyOptions { least: 4, most: 64 }, 1, start);
    let (mut queue, mut limited) = (Server::new(start, None), Server::new(start, Some(Arc::clone(&limit))));
    println!("\n{:<8}{:<8}{:<18}with a limit", "second", "asked", "a queue for all");
    for (second, asked) in (0_u32..).zip(ASKED) {
        let (mut waited, mut held) = (Tally::default(), Tally::default());
        for n in 0..asked {
            let now = start + Duration::from_secs(1) * second + Duration::from_secs(1) * n / asked;
            queue.arrive(now, &mut waited);
            limited.arrive(now, &mut held);
        }
        let limit = limit.limit(start + Duration::from_secs(1) * (second + 1));
        let answered = format!("{} in time", waited.in_time);
        let (in_time, refused) = (held.in_time, held.refused);
        println!(
            "{:<8}{asked:<8}{answered:<18}{in_time} in time, {refused} refused, limit {limit}",
            second + 1
        );
    }
}
