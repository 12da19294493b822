//! What it costs a sign-up to have its password looked up, when the range is in the store.

use anyhow::ensure;

use super::figures::{count, median, p50_and_p99};
use super::turns::bare;
use crate::{
    cores::{Cores, processor_time},
    effort::Effort,
    load::open_loop_to,
    report::{Part, Row},
    roles::Role,
    stack::{Server, Stack, sign_up},
    usage::Usage,
};

/// Sign-ups a second.
const RATE: f64 = 40.0;
/// Lines of the range, about as many as real services answer.
const LINES: usize = 1_000;
/// The end of every hash in the range; no password here has such a hash.
const SUFFIX: &str = "0123456789ABCDEF0123456789ABCDEF";
const CALLS: [&str; 2] = ["http_client_request_duration_seconds_count{", "breached_passwords"];

/// What the sign-ups of one side took.
#[derive(Default)]
struct Side {
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Microseconds of the processor for each.
    cost: Vec<f64>,
}

pub(crate) async fn breached(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let stack = Stack::new(cores).await?;
    let lines = (0..LINES).map(|n| format!("{n:03X}{SUFFIX}:1\r\n"));
    let service = bare(&stack, lines.collect::<String>().as_bytes()).await?;
    let url = format!("http://{}", service.address);
    let off = [("WAYPOST__ACCOUNTS__BREACHED_PASSWORDS", "off".to_owned())];
    let on = [("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL", url)];
    let servers = [
        stack.start(Role::UserApi, &off).await?,
        stack.start(Role::UserApi, &on).await?,
    ];
    let mut sides = [Side::default(), Side::default()];
    let mut bottleneck = String::new();
    for round in 0..=effort.rounds {
        for (n, (server, side)) in servers.iter().zip(&mut sides).enumerate() {
            let usage = Usage::now();
            let turn = turn(server, &format!("{n}-{round}"), effort).await?;
            bottleneck = usage.bottleneck("The sign-up whose password is looked up");
            // The first round is the warm-up.
            if round > 0 {
                side.p50.push(turn[0]);
                side.p99.push(turn[1]);
                side.cost.push(turn[2]);
            }
        }
    }
    let calls = servers[1].counter(&CALLS).await?;
    ensure!(calls == 1, "the service was asked {calls} times: these were no hits");
    Ok(tell(sides, bottleneck, effort))
}

/// One turn: p50 and p99 in milliseconds, and microseconds of the processor for each.
async fn turn(server: &Server, name: &str, effort: Effort) -> anyhow::Result<[f64; 3]> {
    let wanted = count(RATE, effort.turn);
    let requests = (0..wanted).map(|n| sign_up(&format!("looked-up{name}-{n}@bench.example")));
    let before = processor_time(&server.process)?;
    let arrivals = open_loop_to(server.address, RATE, requests, 201).await?;
    let used = processor_time(&server.process)?.saturating_sub(before);
    let [p50, p99] = p50_and_p99(arrivals.iter().map(|arrival| arrival.latency));
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let each = used.as_secs_f64() * 1e6 / wanted as f64;
    Ok([p50, p99, each])
}

fn tell(sides: [Side; 2], bottleneck: String, effort: Effort) -> Part {
    let names = ["not looked up", "looked up, in a range that the store has"];
    let rows = names.into_iter().zip(sides).map(|(name, side)| {
        let figures = [
            ("p50 ms", median(side.p50)),
            ("p99 ms", median(side.p99)),
            ("CPU us/sign-up", median(side.cost)),
        ];
        Row::new(name, &figures)
    });
    Part {
        title: "A sign-up whose password is looked up among breached ones",
        conditions: vec![format!(
            "open loop, {RATE}/s, {} turns of {:?} each, medians; one range of {LINES} hashes, asked for once; cheap passwords",
            effort.rounds, effort.turn
        )],
        rows: rows.collect(),
        checks: Vec::new(),
        bottleneck,
    }
}
