//! The ceiling of a consumer: lapin and `SeaORM` alone. Each message is one transaction of the same two rows, then an ack.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeleteOptions},
    types::FieldTable,
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait, Value};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    ceiling::{declare_queue, timed, variable},
    intake::CHANNEL,
};
use crate::backlog::fill;

/// As many messages in hand, and as many connections to the database, as a service has.
const PREFETCH: u16 = 32;
const CONNECTIONS: u32 = 16;
/// Longest that the intake may take: a broker that hangs must not hang the report.
const PATIENCE: Duration = Duration::from_mins(5);

/// Takes so many messages in, and prints how many seconds it took.
pub(crate) fn take(messages: usize) -> ExitCode {
    timed(PATIENCE, measured(messages))
}

async fn measured(messages: usize) -> anyhow::Result<Duration> {
    let mut options = ConnectOptions::new(variable("WAYPOST__DATABASE__URL")?);
    options
        .max_connections(CONNECTIONS)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_postgres_opts(|options| options.options([("search_path", "email_worker")]));
    let pool = Database::connect(options).await?;
    let connection = Connection::connect(&test_support::amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let name = format!("bench.{}", Uuid::now_v7().simple());
    declare_queue(&channel, &name).await?;
    fill(&name, messages).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (consume, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let begin = Instant::now();
    let coming = channel
        .basic_consume(name.as_str().into(), "taker".into(), consume, none)
        .await?;
    let mut taken = coming
        .take(messages)
        .map(|delivery| take_in(&pool, delivery))
        .buffer_unordered(PREFETCH.into());
    while let Some(outcome) = taken.next().await {
        outcome?;
    }
    let took = begin.elapsed();
    channel
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await?;
    Ok(took)
}

async fn take_in(pool: &DatabaseConnection, delivery: lapin::Result<Delivery>) -> anyhow::Result<()> {
    let delivery = delivery?;
    let id = delivery
        .properties
        .message_id()
        .as_ref()
        .context("a message without an id")?;
    let id: Uuid = id.as_str().parse()?;
    let event: serde_json::Value = serde_json::from_slice(&delivery.data)?;
    let now = common::Timestamp::now().as_micros();
    let inbox = "INSERT INTO inbox (consumer, message_id, received_at, type, trace_id) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (consumer, message_id) DO NOTHING";
    let inbox_values: [Value; 5] = [
        "taker".into(),
        id.into(),
        now.into(),
        "user.registered.v1".into(),
        "".into(),
    ];
    let row = "INSERT INTO deliveries (id, source_event_id, channel, recipient, destination, status, attempts, \
               next_attempt_at, lease_number, priority, payload, retry_now, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $3, 'pending', 0, $5, 0, 0, CAST($6 AS jsonb), false, $5, $5) \
               ON CONFLICT DO NOTHING";
    let row_values: [Value; 6] = [
        Uuid::now_v7().into(),
        id.into(),
        CHANNEL.into(),
        event["email"].as_str().unwrap_or_default().into(),
        now.into(),
        json!(null).to_string().into(),
    ];
    let tx = pool.begin().await?;
    let backend = tx.get_database_backend();
    tx.execute_raw(Statement::from_sql_and_values(backend, inbox, inbox_values))
        .await?;
    tx.execute_raw(Statement::from_sql_and_values(backend, row, row_values))
        .await?;
    tx.commit().await?;
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}
