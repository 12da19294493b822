//! One who asks fifty times too much, and the others, over three replicas.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::{join, try_join_all};

use super::figures::{count, median, p50_and_p99};
use crate::{
    collector::{Collector, EVERYTHING_ON},
    cores::Cores,
    effort::Effort,
    load::{Arrival, open_loop, open_loop_to},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Server, Stack, reads_of},
    usage::Usage,
};

/// Requests that one person may make a minute, and how many of them at once.
const RATE: f64 = 300.0;
const BURST: f64 = 30.0;
/// Requests a second of the abuser: fifty times the rate.
const ABUSE: f64 = 50.0 * RATE / 60.0;
const OTHERS: usize = 20;
/// Reads a second of all others together: each stays below the limit.
const READS: f64 = 80.0;
const REPLICAS: usize = 3;
const TARGET: f64 = 1.3;

/// What one round found.
struct Round {
    alone: [f64; 2],
    beside: [f64; 2],
    /// Requests of the abuser that passed, and how many the limit has for that time.
    passed: f64,
    allowed: f64,
}

pub(crate) async fn abuser(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let [endpoint, ratio] = collector.telemetry();
    let settings = [
        endpoint,
        ratio,
        ("WAYPOST__LIMITS__READ__RATE", RATE.to_string()),
        ("WAYPOST__LIMITS__READ__BURST", BURST.to_string()),
    ];
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(stack.start(Role::UserApi, &settings).await?);
    }
    let mut others = reads_of(&replicas[0].people(OTHERS + 1).await?);
    let abuser = others.split_off(OTHERS);
    let span = effort.turn * 2;
    let usage = Usage::now();
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        let alone = keep_to_the_limit(&replicas, &others, span).await?;
        let (beside, passed) = join(
            keep_to_the_limit(&replicas, &others, span),
            abuse(&replicas, &abuser[0], span),
        )
        .await;
        rounds.push(Round {
            alone: p50_and_p99(alone.iter().map(|one| one.latency)),
            beside: p50_and_p99(beside?.iter().map(|one| one.latency)),
            passed: passed?,
            allowed: BURST + RATE / 60.0 * span.as_secs_f64(),
        });
    }
    Ok(tell(&rounds, usage.bottleneck("The read"), span))
}

/// The others' reads, spread over the replicas; fails when one is refused.
async fn keep_to_the_limit(replicas: &[Server], reads: &[Vec<u8>], span: Duration) -> anyhow::Result<Vec<Arrival>> {
    let rate = READS / 3.0;
    let loads = replicas.iter().enumerate().map(|(n, replica)| {
        let own = reads.iter().cycle().skip(n).step_by(REPLICAS).cloned();
        open_loop_to(replica.address, rate, own.take(count(rate, span)), 200)
    });
    Ok(try_join_all(loads).await?.into_iter().flatten().collect())
}

/// How many of the abuser's requests passed; all others were refused by the limit.
async fn abuse(replicas: &[Server], read: &[u8], span: Duration) -> anyhow::Result<f64> {
    let rate = ABUSE / 3.0;
    let loads = replicas.iter().map(|replica| {
        let requests = std::iter::repeat_n(read.to_vec(), count(rate, span));
        open_loop(replica.address, rate, requests)
    });
    let (mut passed, mut refused) = (0.0, 0.0);
    for arrival in try_join_all(loads).await?.into_iter().flatten() {
        match arrival.status {
            200 => passed += 1.0,
            429 => refused += 1.0,
            other => anyhow::bail!("the abuser was answered {other}"),
        }
    }
    ensure!(refused > passed, "nobody abused anything");
    Ok(passed)
}

fn tell(rounds: &[Round], bottleneck: String, span: Duration) -> Part {
    let middle = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let row = |name: &str, p50: f64, p99: f64| Row::new(name, &[("p50 ms", p50), ("p99 ms", p99)]);
    let slower = middle(|round| round.beside[1] / round.alone[1]);
    let over = rounds
        .iter()
        .map(|round| round.passed / round.allowed)
        .fold(0.0, f64::max);
    Part {
        title: "One caller at fifty times the limit beside twenty others",
        conditions: vec![
            EVERYTHING_ON.to_owned(),
            format!(
                "three replicas on one core, cached reads; {RATE} a minute and {BURST} at once for each person; \
                 the others together {READS}/s, the abuser {ABUSE}/s"
            ),
            format!(
                "open loop, {} rounds of {span:?}, medians; none of the others was refused",
                rounds.len()
            ),
        ],
        rows: vec![
            row(
                "the others alone",
                middle(|round| round.alone[0]),
                middle(|round| round.alone[1]),
            ),
            row(
                "the others beside the abuser",
                middle(|round| round.beside[0]),
                middle(|round| round.beside[1]),
            ),
        ],
        checks: vec![
            Check {
                what: "p99 of the others beside the abuser / alone",
                measured: slower,
                target: "<= 1.3",
                holds: slower <= TARGET,
            },
            Check {
                what: "requests of the abuser that passed / the limit",
                measured: over,
                target: "<= 1",
                holds: over <= 1.0,
            },
        ],
        bottleneck,
    }
}
