//! A backlog of sign-ups that waited for the worker: how fast their mails leave, and what it holds meanwhile.

use std::time::Duration;

use anyhow::{Context, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use test_support::SmtpReceiver;
use tokio::time::{Instant, sleep};

use crate::{
    backlog::fill,
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    roles::Role,
    stack::Stack,
    usage::{Usage, peak_mib},
};

const MAILS: u32 = 100_000;
const QUEUE: &str = "email-worker.events";
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// All mails must have left by then.
const PATIENCE: Duration = Duration::from_mins(15);
const TARGET_MIB: f64 = 80.0;

pub(crate) async fn drain(cores: &Cores, _: Effort) -> anyhow::Result<Part> {
    let smtp = SmtpReceiver::start().await;
    let stack = Stack::new(cores).await?;
    let mail = [("WAYPOST__MAIL__URL", smtp.url())];
    // The first start declares the queue.
    drop(stack.start(Role::EmailWorker, &mail).await?);
    fill(&stack.name(QUEUE), MAILS as usize).await?;
    let deliveries = stack.connect("email_worker").await?;
    let (usage, begin) = (Usage::now(), Instant::now());
    let worker = stack.start(Role::EmailWorker, &mail).await?;
    let [taken_in, took] = follow(&deliveries, begin)
        .await
        .with_context(|| worker.process.output())?;
    let bottleneck = usage.bottleneck("The backlog");
    let peak = peak_mib(worker.process.id())?;
    let received = u32::try_from(smtp.mails().len()).map(f64::from)?;
    let figures = [
        ("mails/s", f64::from(MAILS) / took.as_secs_f64()),
        ("all taken in, s", taken_in.as_secs_f64()),
        ("all accepted, s", took.as_secs_f64()),
        ("received", received),
        ("most MiB", peak),
    ];
    Ok(Part {
        title: "A backlog of mails, drained against a mail server that answers at once",
        conditions: vec![format!(
            "{MAILS} events in the queue before the worker starts; one turn"
        )],
        rows: vec![Row::new("email-worker", &figures)],
        checks: vec![
            Check {
                what: "most MiB that the worker held",
                measured: peak,
                target: "<= 80",
                holds: peak <= TARGET_MIB,
            },
            Check {
                what: "mails received / mails asked for",
                measured: received / f64::from(MAILS),
                target: "= 1",
                holds: (received - f64::from(MAILS)).abs() < 0.5,
            },
        ],
        bottleneck,
    })
}

/// How long it took until all were taken in, and until all were accepted.
async fn follow(deliveries: &DatabaseConnection, begin: Instant) -> anyhow::Result<[Duration; 2]> {
    let (all, mut all_taken_in) = (i64::from(MAILS), None);
    loop {
        let [rows, accepted] = counted(deliveries).await?;
        let took = begin.elapsed();
        if rows >= all {
            all_taken_in.get_or_insert(took);
        }
        if accepted >= all {
            return Ok([all_taken_in.unwrap_or(took), took]);
        }
        ensure!(took < PATIENCE, "{accepted} of {MAILS} mails left");
        sleep(LOOK_EVERY).await;
    }
}

/// How many deliveries there are, and how many of them were accepted.
async fn counted(deliveries: &DatabaseConnection) -> anyhow::Result<[i64; 2]> {
    let sql = "SELECT count(*) AS rows, count(*) FILTER (WHERE status = 'accepted') AS accepted FROM deliveries";
    let counted = Statement::from_string(deliveries.get_database_backend(), sql);
    let row = deliveries.query_one_raw(counted).await?.context("no count")?;
    Ok([row.try_get("", "rows")?, row.try_get("", "accepted")?])
}
