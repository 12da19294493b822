//! The ceiling of the relay: lapin alone, confirmed publishes to one quorum queue, a hundred on their way.

use std::{process::ExitCode, time::Duration};

use contracts::EventData;
use contracts::events::EmailSent;
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeleteOptions,
    },
    types::FieldTable,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::ceiling::{declare_queue, timed};
use crate::{
    backlog::{properties, taken},
    sample::sample_message,
};

/// Publishes that wait for their confirmation at once.
const WINDOW: usize = 100;
/// Longest that the publishing may take: a broker that hangs must not hang the report.
const PATIENCE: Duration = Duration::from_mins(2);

/// Publishes, and prints how many seconds it took.
pub(crate) fn publish(messages: usize) -> ExitCode {
    timed(PATIENCE, measured(messages))
}

async fn measured(messages: usize) -> anyhow::Result<Duration> {
    let connection = Connection::connect(&test_support::amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let name = format!("bench.{}", Uuid::now_v7().simple());
    declare(&channel, &name).await?;
    let took = send(&channel, &name, messages).await;
    channel
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await?;
    channel
        .exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default())
        .await?;
    took
}

async fn declare(channel: &Channel, name: &str) -> anyhow::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default())
        .await?;
    declare_queue(channel, name).await?;
    let key = EmailSent::TYPE;
    channel
        .queue_bind(
            name.into(),
            name.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(())
}

async fn send(channel: &Channel, exchange: &str, messages: usize) -> anyhow::Result<Duration> {
    let sample = sample_message()?;
    let properties = properties(&sample);
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let begin = Instant::now();
    let mut waiting = FuturesUnordered::new();
    for _ in 0..messages {
        if waiting.len() >= WINDOW {
            taken(waiting.next().await)?;
        }
        let (exchange, key) = (exchange.into(), sample.kind().into());
        let sent = channel.basic_publish(exchange, key, options, sample.body(), properties.clone());
        waiting.push(sent.await?);
    }
    while let Some(outcome) = waiting.next().await {
        taken(Some(outcome))?;
    }
    Ok(begin.elapsed())
}
