//! Ten times as many log-ins as the processor can hash, and the reads beside them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use argon2::{Algorithm, Argon2, Params, Version};

use super::figures::{count, median, p50_and_p99};
use crate::{
    collector::{Collector, EVERYTHING_ON},
    cores::Cores,
    effort::Effort,
    load::{Arrival, open_loop, open_loop_to},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Stack, log_in, reads_of},
    usage::Usage,
};

/// OWASP's parameters for argon2id, the built-in ones.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
const PEOPLE: usize = 32;
/// Reads a second.
const READS: f64 = 200.0;
const TIMES: f64 = 10.0;
const DONE_TARGET: f64 = 0.85;
const SLOWER_TARGET: f64 = 1.5;

/// What one round found.
struct Round {
    /// Hashes a second that the servers' core makes when it does nothing else.
    ceiling: f64,
    /// Log-ins a second.
    done: f64,
    refused: f64,
    log_in: [f64; 2],
    calm: [f64; 2],
    meanwhile: [f64; 2],
}

pub(crate) async fn log_ins(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let [endpoint, ratio] = collector.telemetry();
    let settings = [
        endpoint,
        ratio,
        ("WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB", MEMORY_KIB.to_string()),
        ("WAYPOST__ACCOUNTS__ARGON2__ITERATIONS", ITERATIONS.to_string()),
    ];
    let api = stack.start(Role::UserApi, &settings).await?;
    let requests = reads_of(&api.people(PEOPLE).await?);
    let span = effort.turn * 2;
    let reads = || {
        let requests = requests.iter().cycle().take(count(READS, span)).cloned();
        open_loop_to(api.address, READS, requests, 200)
    };
    let usage = Usage::now();
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        let ceiling = ceiling(cores).await?;
        let calm = reads().await?;
        let rate = ceiling * TIMES;
        let flood = (0..count(rate, span)).map(|n| log_in(n % PEOPLE));
        let (flood, meanwhile) = tokio::join!(open_loop(api.address, rate, flood), reads());
        rounds.push(Round::of(ceiling, (&calm, &meanwhile?), &flood?));
    }
    Ok(tell(&rounds, usage.bottleneck("The log-in"), effort))
}

impl Round {
    fn of(ceiling: f64, (calm, meanwhile): (&[Arrival], &[Arrival]), flood: &[Arrival]) -> Self {
        let latency = |one: &Arrival| one.latency;
        let is_done = |one: &&Arrival| one.status == 201;
        // The span ends with the last answer, which may come after the flood.
        let ends = flood.iter().filter(is_done).map(|one| one.due + one.latency);
        let span = ends.max().zip(flood.first()).map(|(last, first)| last - first.due);
        let span = span.unwrap_or_default().as_secs_f64().max(1e-3);
        let done = flood.iter().filter(is_done).count();
        #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
        let [done, refused] = [done as f64, (flood.len() - done) as f64];
        Self {
            ceiling,
            done: done / span,
            refused: refused / span,
            log_in: p50_and_p99(flood.iter().filter(is_done).map(latency)),
            calm: p50_and_p99(calm.iter().map(latency)),
            meanwhile: p50_and_p99(meanwhile.iter().map(latency)),
        }
    }
}

/// What one thread hashes a second on the servers' core, in a process of its own.
async fn ceiling(cores: &Cores) -> anyhow::Result<f64> {
    let mut process = cores.server(&["hash"])?.spawn();
    process.exit(Duration::from_secs(30)).await;
    let said = process.output();
    said.trim().parse().with_context(|| format!("it said: {said}"))
}

/// Hashes for some seconds, and prints how many a second that made.
pub(crate) fn hash() -> ExitCode {
    let Ok(params) = Params::new(MEMORY_KIB, ITERATIONS, 1, None) else {
        return ExitCode::FAILURE;
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (began, mut output, mut hashed) = (Instant::now(), [0; 32], 0.0);
    while began.elapsed() < Duration::from_secs(3) {
        if argon2
            .hash_password_into(b"correct horse battery", b"sixteen bytes ok", &mut output)
            .is_err()
        {
            return ExitCode::FAILURE;
        }
        hashed += 1.0;
    }
    println!("{}", hashed / began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn tell(rounds: &[Round], bottleneck: String, effort: Effort) -> Part {
    let middle = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let row = |name: &str, a_second: f64, p50: fn(&Round) -> f64, p99: fn(&Round) -> f64| {
        let figures = [
            ("requests/s", a_second),
            ("p50 ms", middle(p50)),
            ("p99 ms", middle(p99)),
        ];
        Row::new(name, &figures)
    };
    let done = middle(|round| round.done / round.ceiling);
    let slower = middle(|round| round.meanwhile[1] / round.calm[1]);
    Part {
        title: "Ten times as many log-ins as can be hashed",
        conditions: vec![
            format!(
                "argon2id with {MEMORY_KIB} KiB and {ITERATIONS} iterations, which is the default; {PEOPLE} people; {EVERYTHING_ON}"
            ),
            format!(
                "the servers' core alone hashes {:.1} a second; of the flood {:.0} a second were refused",
                middle(|round| round.ceiling),
                middle(|round| round.refused)
            ),
            format!("open loop, {} rounds of {:?}, medians", effort.rounds, effort.turn * 2),
        ],
        rows: vec![
            row(
                "cached reads, no log-ins",
                READS,
                |round| round.calm[0],
                |round| round.calm[1],
            ),
            row(
                "cached reads beside the flood",
                READS,
                |round| round.meanwhile[0],
                |round| round.meanwhile[1],
            ),
            row(
                "log-ins done",
                middle(|round| round.done),
                |round| round.log_in[0],
                |round| round.log_in[1],
            ),
        ],
        checks: vec![
            Check {
                what: "log-ins a second / hashes a second",
                measured: done,
                target: ">= 0.85",
                holds: done >= DONE_TARGET,
            },
            Check {
                what: "p99 of reads beside the flood / alone",
                measured: slower,
                target: "<= 1.5",
                holds: slower <= SLOWER_TARGET,
            },
        ],
        bottleneck,
    }
}
