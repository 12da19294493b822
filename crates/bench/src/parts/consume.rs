//! Taking messages in: a consumer of the house, alone and in batches, beside lapin and `SeaORM` alone.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::figures::median;
use crate::{
    backlog::fill,
    cores::{Cores, processor_time},
    effort::Effort,
    report::{Check, Part, Row},
    roles::Role,
    stack::{Server, Stack},
    usage::Usage,
};

/// Enough for some seconds.
const MESSAGES: u32 = 20_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// One side's turn must be over by then.
const PATIENCE: Duration = Duration::from_mins(5);
/// Messages a second, each with a commit of its own, and several in one.
const TARGETS: [f64; 2] = [5_000.0, 8_000.0];
const QUEUE: &str = "email-worker.events";
const SETTLED: [&str; 3] = [
    "waypost_messages_total{",
    "outcome=\"ack\"",
    "queue=\"email-worker.events\"",
];

/// One turn: messages a second, and microseconds of the consumer's processor for each.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    cost: f64,
}

pub(crate) async fn consume(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let mut turns: [Vec<Turn>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    let mut bottleneck = String::new();
    for _ in 0..effort.rounds {
        // Tables and queues of its own each time: none meets the rows of another.
        turns[0].push(by_hand(cores).await?);
        for (batch, turns) in ["1", "16"].into_iter().zip(&mut turns[1..]) {
            let stack = Stack::new(cores).await?;
            let usage = Usage::now();
            turns.push(through(&stack, batch).await?);
            bottleneck = usage.bottleneck("The consumer");
        }
    }
    Ok(tell(&turns, bottleneck, effort))
}

async fn by_hand(cores: &Cores) -> anyhow::Result<Turn> {
    let stack = Stack::new(cores).await?;
    let mut process = cores
        .server(&["take", &MESSAGES.to_string()])?
        .env("WAYPOST__DATABASE__URL", stack.database_url())
        .spawn();
    let (end, mut used) = (Instant::now() + PATIENCE, Duration::ZERO);
    while process.is_running() {
        used = processor_time(&process).unwrap_or(used);
        ensure!(Instant::now() < end, "lapin alone did not end");
        sleep(LOOK_EVERY).await;
    }
    let output = process.output();
    let seconds: f64 = output.trim().parse().with_context(|| output.clone())?;
    Ok(turn(f64::from(MESSAGES), seconds, used))
}

/// What waits while the consumer is away is taken in when it comes back.
async fn through(stack: &Stack<'_>, batch: &str) -> anyhow::Result<Turn> {
    let batch = [("WAYPOST__BROKER__BATCH", batch.to_owned())];
    // The first start declares the queue.
    drop(stack.start(Role::Intake, &batch).await?);
    fill(&stack.name(QUEUE), MESSAGES as usize).await?;
    let consumer = stack.start(Role::Intake, &batch).await?;
    follow(&consumer).await
}

/// From the first twentieth to the end: it begins while its port opens, and slowly.
async fn follow(consumer: &Server) -> anyhow::Result<Turn> {
    let (end, mut first) = (Instant::now() + PATIENCE, None);
    loop {
        let settled = consumer.counter(&SETTLED).await?;
        let (now, used) = (Instant::now(), processor_time(&consumer.process)?);
        if first.is_none() && settled >= u64::from(MESSAGES / 20) {
            first = Some((settled, now, used));
        }
        if settled >= u64::from(MESSAGES) {
            let (from, since, used_then) = first.context("it was over before it began")?;
            let messages = u32::try_from(settled - from).map(f64::from)?;
            return Ok(turn(
                messages,
                (now - since).as_secs_f64(),
                used.saturating_sub(used_then),
            ));
        }
        if now > end {
            bail!(
                "{settled} of {MESSAGES} were taken in; it wrote:\n{}",
                consumer.process.output()
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

fn turn(messages: f64, seconds: f64, used: Duration) -> Turn {
    Turn {
        per_second: messages / seconds,
        cost: used.as_secs_f64() * 1e6 / messages,
    }
}

fn tell(turns: &[Vec<Turn>; 3], bottleneck: String, effort: Effort) -> Part {
    let rate = |turns: &[Turn]| median(turns.iter().map(|turn| turn.per_second).collect());
    let names = [
        "lapin and SeaORM alone, a transaction a message",
        "a consumer of the house, a commit a message",
        "a consumer of the house, up to 16 a commit",
    ];
    let rows = names.into_iter().zip(turns).map(|(name, own)| {
        let ratios = own
            .iter()
            .zip(&turns[0])
            .map(|(own, raw)| own.per_second / raw.per_second);
        let figures = [
            ("messages/s", rate(own)),
            ("of raw", median(ratios.collect())),
            ("CPU us/message", median(own.iter().map(|turn| turn.cost).collect())),
        ];
        Row::new(name, &figures)
    });
    let check = |what, at: usize, target| Check {
        what,
        measured: rate(&turns[at + 1]),
        target,
        holds: rate(&turns[at + 1]) >= TARGETS[at],
    };
    Part {
        title: "Consuming: inbox row, one delivery row, commit, settlement",
        conditions: vec![format!(
            "{MESSAGES} messages that wait in one quorum queue, 32 in hand; {} turns, medians",
            effort.rounds
        )],
        rows: rows.collect(),
        checks: vec![
            check("messages/s, a commit each", 0, ">= 5000"),
            check("messages/s, up to 16 a commit", 1, ">= 8000"),
        ],
        bottleneck,
    }
}
