//! What is declared on the broker: every exchange and queue, with its arguments.

use std::sync::Arc;
use std::time::Duration;

use contracts::topology::{QUEUES, Queue};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use tokio::sync::Mutex;

use super::deadline::{CallError, DECLARE, within};
use super::names::Names;
use crate::telemetry::Metrics;

/// A message that killed its consumer so often is set aside. It guards against crashes only:
/// every message that a lost consumer had prefetched counts a delivery, worked on or not.
const DELIVERY_LIMIT: i64 = 20;
/// Looking at a message that was set aside gives it back each time; that must never cost it.
const NO_DELIVERY_LIMIT: i64 = 1_000_000;
/// What nobody binds is kept in this number, and for this long, to be seen.
const MAX_UNROUTED: i64 = 10_000;
const UNROUTED_FOR: Duration = Duration::from_hours(7 * 24);

/// Everything that is declared on the broker: all services' queues, by every process.
pub(super) struct Topology {
    names: Arc<Names>,
    ladder: Vec<Duration>,
    metrics: Metrics,
    /// The process's two connections declare one after the other.
    declaring: Mutex<()>,
}

impl Topology {
    pub(super) fn new(names: Arc<Names>, ladder: Vec<Duration>, metrics: Metrics) -> Self {
        Self {
            names,
            ladder,
            metrics,
            declaring: Mutex::new(()),
        }
    }

    /// Declares all of it; what is there already stays as it is.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), CallError> {
        let _one_at_a_time = self.declaring.lock().await;
        within(DECLARE, async {
            let channel = connection.create_channel().await?;
            self.exchanges(&channel).await?;
            for queue in QUEUES {
                self.consumers_queues(&channel, queue).await?;
            }
            channel.close(200, "declared".into()).await
        })
        .await
    }

    /// Asks for the queue of what nobody binds: shows that the broker answers, and that the topology is there.
    pub(super) async fn probe(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let passive = QueueDeclareOptions {
            passive: true,
            durable: true,
            ..Default::default()
        };
        let queue = channel
            .queue_declare(self.names.unrouted().into(), passive, FieldTable::default())
            .await?;
        self.metrics.unrouted_messages(queue.message_count().into());
        Ok(())
    }

    async fn exchanges(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let unrouted = self.names.unrouted();
        exchange(channel, &unrouted, ExchangeKind::Fanout, FieldTable::default()).await?;
        let bounded = table(&[
            ("x-max-length", number(MAX_UNROUTED)),
            ("x-message-ttl", millis(UNROUTED_FOR)),
            ("x-overflow", text("drop-head")),
            ("x-delivery-limit", number(NO_DELIVERY_LIMIT)),
        ]);
        queue(channel, &unrouted, bounded).await?;
        bind(channel, &unrouted, &unrouted, "").await?;
        let alternate = table(&[("alternate-exchange", text(&unrouted))]);
        exchange(channel, &self.names.events(), ExchangeKind::Topic, alternate).await?;
        exchange(
            channel,
            &self.names.dead_exchange(),
            ExchangeKind::Direct,
            FieldTable::default(),
        )
        .await
    }

    /// A work queue, its dead letters and its delay queues; bound last, when all is there to receive.
    async fn consumers_queues(&self, channel: &Channel, declared: &Queue) -> Result<(), lapin::Error> {
        let (work, dead) = (self.names.work(declared.name), self.names.dead(declared.name));
        let dead_exchange = self.names.dead_exchange();
        queue(
            channel,
            &dead,
            table(&[("x-delivery-limit", number(NO_DELIVERY_LIMIT))]),
        )
        .await?;
        bind(channel, &dead, &dead_exchange, &work).await?;
        // At-least-once dead-lettering needs reject-publish: without it the broker falls back silently.
        let arguments = table(&[
            ("x-delivery-limit", number(DELIVERY_LIMIT)),
            ("x-dead-letter-exchange", text(&dead_exchange)),
            ("x-dead-letter-routing-key", text(&work)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]);
        queue(channel, &work, arguments).await?;
        for &after in &self.ladder {
            // A queue for each delay: within one queue a short wait would stand behind a longer one.
            let arguments = table(&[
                ("x-message-ttl", millis(after)),
                ("x-dead-letter-exchange", text("")),
                ("x-dead-letter-routing-key", text(&work)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]);
            queue(channel, &self.names.delay(declared.name, after), arguments).await?;
        }
        for kind in declared.bindings {
            bind(channel, &work, &self.names.events(), kind).await?;
        }
        Ok(())
    }
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), lapin::Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel.exchange_declare(name.into(), kind, options, arguments).await
}

async fn queue(channel: &Channel, name: &str, mut arguments: FieldTable) -> Result<(), lapin::Error> {
    arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel.queue_declare(name.into(), options, arguments).await.map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}

fn table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// `RabbitMQ` compares arguments by type too: whole numbers are always of this one.
fn number(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

fn millis(value: Duration) -> AMQPValue {
    number(i64::try_from(value.as_millis()).unwrap_or(i64::MAX))
}
