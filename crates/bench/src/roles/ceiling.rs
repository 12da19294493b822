//! What the ceilings share: where their address comes from, their queue, how they are timed and how they end.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use lapin::{
    Channel,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

/// A variable of the environment, from which a ceiling has its address, its servers' URLs and what it answers.
#[expect(
    clippy::disallowed_methods,
    reason = "the ceilings have no settings, only this address"
)]
pub(super) fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).map_err(|_| anyhow::anyhow!("{name} is not set"))
}

pub(super) fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `measured`, which gives back how long it took, and prints that in seconds. It fails after `patience`: a broker that
/// hangs must not hang the report.
pub(super) fn timed(patience: Duration, measured: impl Future<Output = anyhow::Result<Duration>>) -> ExitCode {
    ended(run(patience, measured))
}

fn run(patience: Duration, measured: impl Future<Output = anyhow::Result<Duration>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let took = runtime.block_on(async { timeout(patience, measured).await.context("no end of it")? })?;
    println!("{}", took.as_secs_f64());
    Ok(())
}

/// A quorum queue, as all queues of the house are.
pub(super) async fn declare_queue(channel: &Channel, name: &str) -> lapin::Result<()> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(name.into(), durable, quorum).await?;
    Ok(())
}
