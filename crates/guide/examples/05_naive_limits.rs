//! The smallest protection, and what it gets wrong: a limit a replica, one that never comes back, a silent fallback.
//!
//! `cargo run --example 05_naive_limits -- per-replica` (or `never-back`, `unseen`)
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::time::Duration;

use clap::{Parser, ValueEnum};
use common::config::Service;
use common::process::Tasks;
use common::resilience::Quota;
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;

/// Requests a minute that one caller may make.
const ALLOWED: u32 = 100;
/// What the caller makes, at once.
const ASKED: usize = 500;
const REPLICAS: usize = 3;
/// A request that takes longer is slow.
const SLOW: Duration = Duration::from_millis(200);
/// Sign-ups, one in five of which chooses a password that others know.
const SIGN_UPS: u32 = 1000;

#[derive(Parser)]
struct Arguments {
    fault: Fault,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    PerReplica,
    NeverBack,
    Unseen,
}

/// So many requests of one caller in each minute, counted in this process.
struct Limit {
    left: u32,
}

impl Limit {
    fn admits(&mut self) -> bool {
        let admits = self.left > 0;
        self.left -= u32::from(admits);
        admits
    }
}

/// So many requests under way at a time: half when one was slow, one more when all places were taken and it was not.
struct Places {
    limit: usize,
}

impl Places {
    fn learn(&mut self, under_way: usize, took: Duration) {
        if took > SLOW {
            self.limit = (self.limit / 2).max(4);
        } else if under_way >= self.limit {
            self.limit += 1;
        }
    }
}

/// Asks whether a password is known from a breach. Who can't say keeps nobody out.
fn is_breached(answer: Result<bool, &'static str>) -> bool {
    answer.unwrap_or(false)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().fault {
        Fault::PerReplica => per_replica().await?,
        Fault::NeverBack => never_back(),
        Fault::Unseen => unseen(),
    }
    Ok(())
}

/// A caller is sent from one replica to the next.
async fn per_replica() -> anyhow::Result<()> {
    let mut limits = [const { Limit { left: ALLOWED } }; REPLICAS];
    let passed = (0..ASKED).filter(|n| limits[n % REPLICAS].admits()).count();
    println!("{ALLOWED} a minute are allowed, {ASKED} are asked for, {REPLICAS} replicas");
    println!("each replica counts by itself   {passed} pass");

    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open("memory://", "", Timeouts::default(), &tasks)?;
    let quota = Quota::token_bucket(f64::from(ALLOWED), ALLOWED);
    let mut passed = 0;
    for _ in 0..ASKED {
        passed += store.draw("limit:ada", quota, 1, 0).await?.granted;
    }
    println!("they share one number           {passed} pass");
    Ok(())
}

/// Ten requests are slow; then all is as before, and never so full that the limit would be reached.
fn never_back() {
    let mut places = Places { limit: 64 };
    println!("before                                      {}", places.limit);
    for _ in 0..10 {
        places.learn(64, SLOW * 2);
    }
    println!("after ten slow requests                     {}", places.limit);
    for _ in 0..100_000 {
        places.learn(2, SLOW / 10);
    }
    println!("after 100000 fast ones, two at a time       {}", places.limit);
    let refused = 20_usize.saturating_sub(places.limit);
    println!("20 come at once: refused                    {refused}");
}

/// The same sign-ups, while somebody answers and while nobody does.
fn unseen() {
    for (day, answers) in [("the service answers", true), ("nobody answers", false)] {
        let metrics = Metrics::new(Service::UserApi);
        let (mut taken, mut known) = (0, 0);
        for person in 0..SIGN_UPS {
            let is_known = person % 5 == 0;
            let answer = if answers { Ok(is_known) } else { Err("no answer") };
            if !is_breached(answer) {
                taken += 1;
                known += u32::from(is_known);
            }
        }
        let shown = metrics.render();
        let shown = shown
            .lines()
            .filter(|line| line.starts_with("waypost_breached"))
            .count();
        println!(
            "{day:<22}{taken} passwords taken, {known} of them known to others, errors 0, series that show it {shown}"
        );
    }
}
