//! Taking messages in: a consumer of the house, alone and in batches, beside lapin and `SeaORM` alone.

use std::time::Duration;

use super::{
    counted::{Turn, by_hand, follow},
    figures::median,
};
use crate::{
    backlog::fill,
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    roles::Role,
    stack::Stack,
    usage::Usage,
};

/// Enough for some seconds.
const MESSAGES: u32 = 20_000;
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

pub(crate) async fn consume(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let mut turns: [Vec<Turn>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    let mut bottleneck = String::new();
    for _ in 0..effort.rounds {
        // Tables and queues of its own each time: none meets the rows of another.
        turns[0].push(take_alone(cores).await?);
        for (batch, turns) in ["1", "16"].into_iter().zip(&mut turns[1..]) {
            let stack = Stack::new(cores).await?;
            let usage = Usage::now();
            turns.push(through(&stack, batch).await?);
            bottleneck = usage.bottleneck("The consumer");
        }
    }
    Ok(tell(&turns, bottleneck, effort))
}

async fn take_alone(cores: &Cores) -> anyhow::Result<Turn> {
    let stack = Stack::new(cores).await?;
    let child = cores.server(&["take", &MESSAGES.to_string()])?;
    by_hand(
        child.env("WAYPOST__DATABASE__URL", stack.database_url()),
        MESSAGES,
        PATIENCE,
    )
    .await
}

/// Messages wait while the consumer is away, and are taken in when it comes back. What is measured begins at the first
/// twentieth, since the consumer begins slowly, and before its port is open.
async fn through(stack: &Stack<'_>, batch: &str) -> anyhow::Result<Turn> {
    let batch = [("WAYPOST__BROKER__BATCH", batch.to_owned())];
    // The first start declares the queue.
    drop(stack.start(Role::Intake, &batch).await?);
    fill(&stack.name(QUEUE), MESSAGES as usize).await?;
    let consumer = stack.start(Role::Intake, &batch).await?;
    let part = u64::from(MESSAGES / 20)..u64::from(MESSAGES);
    follow(&consumer, &SETTLED, part, PATIENCE).await
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
