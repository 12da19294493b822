//! Ten times as many reads as the database can serve: how many are answered all the same, and how fast.

use std::time::Duration;

use test_support::{Fault, FaultProxy};

use super::figures::{count, median, p50_and_p99};
use crate::{
    collector::{Collector, EVERYTHING_ON},
    cores::Cores,
    effort::Effort,
    load::{Arrival, open_loop, open_loop_to, saturate_on},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Stack, reads_of},
    usage::Usage,
};

/// Delay on the way to the database and on the way back. With it the database bounds the reads, and not the processor, which
/// also has to refuse.
const WAY: Duration = Duration::from_millis(10);
/// So many people that two reads at a time are hardly ever of the same one.
const PEOPLE: usize = 256;
/// Connections that keep all places at the database taken.
const BUSY: usize = 32;
const TIMES: f64 = 10.0;
const CALM: f64 = 0.25;
/// The first part of a flood, which is not measured: the adaptive limit needs it to find its value.
const FOUND: Duration = Duration::from_secs(2);
const GOODPUT_TARGET: f64 = 0.85;
const SLOWER_TARGET: f64 = 3.0;

/// What one round found.
struct Round {
    capacity: f64,
    goodput: f64,
    refused: f64,
    calm: [f64; 2],
    accepted: [f64; 2],
    refusal: [f64; 2],
}

pub(crate) async fn overload(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let proxy = FaultProxy::before(stack.database_url()).await;
    let settings = |least: &str| {
        let [endpoint, ratio] = collector.telemetry();
        [
            endpoint,
            ratio,
            ("WAYPOST__DATABASE__URL", proxy.url(stack.database_url())),
            ("WAYPOST__STORE__URL", "memory://".to_owned()),
            ("WAYPOST__OVERLOAD__LEAST", least.to_owned()),
        ]
    };
    // Lets everybody in: what the database can serve is found with it.
    let open = stack.start(Role::Uncached, &settings("512")).await?;
    let api = stack.start(Role::Uncached, &settings("4")).await?;
    let requests = reads_of(&api.people(PEOPLE).await?);
    proxy.set(Fault::Delay(WAY)).await;

    let usage = Usage::now();
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        let capacity = saturate_on(open.address, BUSY, &requests, effort.turn)
            .await?
            .per_second();
        let for_a_while = |rate: f64, length: Duration| requests.iter().cycle().take(count(rate, length)).cloned();
        let rate = capacity * CALM;
        let calm = open_loop_to(api.address, rate, for_a_while(rate, effort.turn), 200).await?;
        let rate = capacity * TIMES;
        let flood = open_loop(api.address, rate, for_a_while(rate, effort.turn + FOUND)).await?;
        rounds.push(Round::of(capacity, &calm, flood));
    }
    Ok(tell(
        &rounds,
        usage.bottleneck("The read under ten times its load"),
        effort,
    ))
}

impl Round {
    fn of(capacity: f64, calm: &[Arrival], flood: Vec<Arrival>) -> Self {
        let from = flood.first().map(|first| first.due + FOUND);
        let flood: Vec<_> = flood.into_iter().filter(|one| Some(one.due) >= from).collect();
        let span = flood
            .first()
            .zip(flood.last())
            .map(|(first, last)| last.due - first.due);
        let (accepted, refused): (Vec<_>, Vec<_>) = flood.iter().partition(|one| one.status == 200);
        #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
        let [done, turned_away] = [accepted.len() as f64, refused.len() as f64];
        let span = span.unwrap_or_default().as_secs_f64().max(1e-3);
        Self {
            capacity,
            goodput: done / span,
            refused: turned_away / span,
            calm: p50_and_p99(calm.iter().map(|one| one.latency)),
            accepted: p50_and_p99(accepted.iter().map(|one| one.latency)),
            refusal: p50_and_p99(refused.iter().map(|one| one.latency)),
        }
    }
}

fn tell(rounds: &[Round], bottleneck: String, effort: Effort) -> Part {
    let middle = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let row = |name: &str, a_second: fn(&Round) -> f64, p50: fn(&Round) -> f64, p99: fn(&Round) -> f64| {
        let figures = [
            ("requests/s", middle(a_second)),
            ("p50 ms", middle(p50)),
            ("p99 ms", middle(p99)),
        ];
        Row::new(name, &figures)
    };
    let goodput = middle(|round| round.goodput / round.capacity);
    let slower = middle(|round| round.accepted[1] / round.calm[1]);
    Part {
        title: "Ten times as many reads as the database can serve",
        conditions: vec![
            format!("{EVERYTHING_ON}, but that all are let in to find the capacity"),
            format!(
                "no cache, the way to PostgreSQL {WAY:?} there and back, {PEOPLE} people; capacity: closed loop, {BUSY} connections"
            ),
            format!(
                "open loop, {} rounds of {:?}, medians; of a flood without its first {FOUND:?}",
                effort.rounds, effort.turn
            ),
        ],
        rows: vec![
            row(
                "a quarter of the capacity",
                |round| round.capacity * CALM,
                |round| round.calm[0],
                |round| round.calm[1],
            ),
            row(
                "ten times the capacity, answered",
                |round| round.goodput,
                |round| round.accepted[0],
                |round| round.accepted[1],
            ),
            row(
                "ten times the capacity, refused",
                |round| round.refused,
                |round| round.refusal[0],
                |round| round.refusal[1],
            ),
        ],
        checks: vec![
            Check {
                what: "answered a second / capacity",
                measured: goodput,
                target: ">= 0.85",
                holds: goodput >= GOODPUT_TARGET,
            },
            Check {
                what: "p99 of the answered / p99 at a quarter of the capacity",
                measured: slower,
                target: "<= 3",
                holds: slower <= SLOWER_TARGET,
            },
        ],
        bottleneck,
    }
}
