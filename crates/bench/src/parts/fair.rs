//! Whether one destination or one person moves the deliveries of another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use common::Timestamp;
use common::config::{Service, Settings};
use common::database::Database;
use common::dispatch::{
    Delivery, DispatchOptions, Dispatcher, NewDelivery, Outcome, Progress, RecordError, Sender, enqueue,
};
use common::messaging::{Change, Changes};
use common::process::Tasks;
use common::telemetry::Metrics;
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::time::{interval, sleep};
use uuid::Uuid;

use super::figures::{count, p50_and_p99};
use crate::{
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    stack::Stack,
    usage::Usage,
};

const CHANNEL: &str = "bench";
/// Deliveries a second whose time is measured.
const RATE: f64 = 20.0;
/// What a provider that is well takes for one.
const ANSWER: Duration = Duration::from_millis(100);
/// What one takes that is slow.
const SLOW: Duration = Duration::from_secs(5);
const TARGET: f64 = 1.3;
/// The last of those that are measured must be sent by then.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is due beside those that are measured: what for, to whom, how many.
const BESIDE: [(&str, &str, usize); 5] = [
    ("nothing else", "quiet", 0),
    ("a slow destination", "slow", 2_000),
    ("a failing destination", "failing", 2_000),
    ("a flooded destination", "flooded", 20_000),
    ("one person's thousand, same destination", "quiet", 1_000),
];

/// Answers as each destination does, and keeps when each delivery was sent.
#[derive(Clone, Default)]
struct Provider {
    sent: Arc<Mutex<HashMap<Uuid, Instant>>>,
}

impl Sender for Provider {
    async fn send(&self, delivery: &Delivery, progress: &Progress) -> Outcome {
        progress.begin();
        match delivery.destination.as_str() {
            "slow" => sleep(SLOW).await,
            "failing" => {
                return Outcome::Retry {
                    error: "HTTP 500".to_owned(),
                    after: None,
                };
            }
            _ => sleep(ANSWER).await,
        }
        self.sent.lock().insert(delivery.id, Instant::now());
        Outcome::Accepted {
            provider_message_id: None,
        }
    }

    async fn record(&self, _: &mut Change, _: &Delivery, _: &Outcome) -> Result<(), RecordError> {
        Ok(())
    }
}

pub(crate) async fn fair(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let stack = Stack::new(cores).await?;
    let mut took: [Vec<Duration>; BESIDE.len()] = Default::default();
    let mut bottleneck = String::new();
    for _ in 0..effort.rounds {
        for ((_, destination, many), took) in BESIDE.iter().zip(&mut took) {
            let usage = Usage::now();
            took.extend(turn(&stack, destination, *many, effort).await?);
            bottleneck = usage.bottleneck("Deliveries");
        }
    }
    Ok(tell(&took, bottleneck, effort))
}

/// What each of the measured deliveries took, from its commit to the provider's answer, beside `many` to `destination`.
async fn turn(stack: &Stack<'_>, destination: &str, many: usize, effort: Effort) -> anyhow::Result<Vec<Duration>> {
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = stack.database_url().into();
    let database = Database::connect(&settings, Service::EmailWorker).await?;
    database
        .unguarded()
        .execute_unprepared("DELETE FROM deliveries")
        .await?;
    let tx = database.unguarded().begin().await?;
    for _ in 0..many {
        enqueue(&tx, new("many@bench.example".to_owned(), destination), Timestamp::now()).await?;
    }
    tx.commit().await?;
    let (tasks, provider) = (Tasks::new(Service::EmailWorker), Provider::default());
    let dispatcher = Dispatcher {
        changes: Changes::new(Service::EmailWorker, database.clone()),
        sender: provider.clone(),
        options: DispatchOptions {
            drain: Duration::ZERO,
            ..DispatchOptions::new(&settings, &[CHANNEL])
        },
        broker: None,
    };
    let waker = dispatcher.spawn(Metrics::new(Service::EmailWorker), &tasks);
    let mut asked = Vec::new();
    let mut pace = interval(Duration::from_secs_f64(1.0 / RATE));
    for n in 0..count(RATE, effort.turn) {
        pace.tick().await;
        let delivery = new(format!("other{n}@bench.example"), "quiet");
        asked.push((delivery.id, Instant::now()));
        enqueue(database.unguarded(), delivery, Timestamp::now()).await?;
        waker.wake();
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let sent = provider.sent.lock().clone();
        let took: Vec<_> = asked
            .iter()
            .filter_map(|(id, at)| Some(sent.get(id)?.duration_since(*at)))
            .collect();
        if took.len() == asked.len() {
            tasks.shut_down(PATIENCE).await?;
            return Ok(took);
        }
        ensure!(Instant::now() < end, "{} of {} were sent", took.len(), asked.len());
        sleep(Duration::from_millis(20)).await;
    }
}

fn new(recipient: String, destination: &str) -> NewDelivery {
    NewDelivery::new(Uuid::now_v7(), CHANNEL, recipient, destination.to_owned())
}

fn tell(took: &[Vec<Duration>], bottleneck: String, effort: Effort) -> Part {
    let figures: Vec<_> = took.iter().map(|took| p50_and_p99(took.iter().copied())).collect();
    let alone = figures.first().map_or(f64::NAN, |[_, p99]| *p99);
    let rows = BESIDE.iter().zip(&figures).map(|((name, ..), [p50, p99])| {
        let figures = [("p50 ms", *p50), ("p99 ms", *p99), ("of alone", p99 / alone)];
        Row::new(format!("beside {name}"), &figures)
    });
    let worst = figures.iter().map(|[_, p99]| p99 / alone).fold(0.0, f64::max);
    Part {
        title: "Deliveries beside those of another destination or person",
        conditions: vec![format!(
            "{RATE}/s to a provider that takes {ANSWER:?}, each for somebody else, {} turns of {:?}; from the commit to the answer",
            effort.rounds, effort.turn
        )],
        rows: rows.collect(),
        checks: vec![Check {
            what: "p99 beside the worst / alone",
            measured: worst,
            target: "< 1.3",
            holds: worst < TARGET,
        }],
        bottleneck,
    }
}
