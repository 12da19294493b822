//! Declares what stands on the broker, and finds what is missing.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, ExchangeUnbindOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::deadline::{CallError, DECLARE, within};
use super::leaders::Leaders;
use super::names::Names;
use super::objects::{Binding, Exchange, Objects, Target};
use crate::Timestamp;
use crate::telemetry::Metrics;

/// Everything that is declared on the broker: all services' queues, by every process.
pub(super) struct Topology {
    objects: Objects,
    metrics: Metrics,
    /// Held while one connection of this process declares; the others wait.
    declaring: tokio::sync::Mutex<()>,
    /// When the look began that last saw all of it.
    whole: Mutex<Option<Timestamp>>,
    asked: Notify,
    leaders: Arc<Leaders>,
}

impl Topology {
    pub(super) fn new(names: &Names, ladder: &[Duration], metrics: Metrics, leaders: Arc<Leaders>) -> Self {
        Self {
            objects: Objects::of(names, ladder),
            metrics,
            declaring: tokio::sync::Mutex::default(),
            whole: Mutex::default(),
            asked: Notify::new(),
            leaders,
        }
    }

    /// The queues' names.
    pub(super) fn queues(&self) -> Vec<String> {
        self.objects.queues.iter().map(|queue| queue.name.clone()).collect()
    }

    /// Declares all of it, within 30 s; what is there already stays as it is.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), CallError> {
        let declaring = async {
            let _one_at_a_time = self.declaring.lock().await;
            let began = Timestamp::now();
            if self.last_whole().is_some() {
                self.report(&self.missing(connection).await?);
            }
            self.declare_all(connection, began).await
        };
        let declared = within(DECLARE, declaring).await;
        self.suspecting(declared)
    }

    /// Looks whether all of it is there, and declares again what is not; within 30 s.
    ///
    /// AMQP has no way to ask for a binding, so bindings are made again each time.
    pub(super) async fn look(&self, connection: &Connection) -> Result<(), CallError> {
        let looking = async {
            let _one_at_a_time = self.declaring.lock().await;
            let began = Timestamp::now();
            let missing = self.missing(connection).await?;
            if !missing.is_empty() {
                self.report(&missing);
                return self.declare_all(connection, began).await;
            }
            let channel = connection.create_channel().await?;
            self.bind_all(&channel).await?;
            self.set_whole(began);
            channel.close(200, "looked".into()).await
        };
        let looked = within(DECLARE, looking).await;
        self.suspecting(looked)
    }

    /// What is known of the queues' leaders.
    pub(super) fn leaders(&self) -> &Leaders {
        &self.leaders
    }

    fn suspecting(&self, done: Result<(), CallError>) -> Result<(), CallError> {
        done.inspect_err(|error| {
            self.leaders.suspect_after(error);
        })
    }

    /// Asks for a look now: [`Self::asked`] resolves.
    pub(super) fn look_at_once(&self) {
        self.asked.notify_one();
    }

    /// Resolves when a look is asked for before its time.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    async fn declare_all(&self, connection: &Connection, began: Timestamp) -> Result<(), lapin::Error> {
        let is_anew = self.misses_events(connection).await?;
        let channel = connection.create_channel().await?;
        for exchange in &self.objects.exchanges {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            let (kind, arguments) = (exchange.kind.clone(), exchange.arguments.clone());
            channel
                .exchange_declare(exchange.name.as_str().into(), kind, options, arguments)
                .await?;
        }
        if is_anew {
            bind(&channel, &self.objects.catch_all).await?;
        }
        for queue in &self.objects.queues {
            let options = QueueDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel
                .queue_declare(queue.name.as_str().into(), options, queue.arguments.clone())
                .await?;
        }
        self.bind_all(&channel).await?;
        for exchange in &self.objects.former {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.as_str().into(), options).await?;
        }
        self.set_whole(began);
        channel.close(200, "declared".into()).await
    }

    /// Whether the events exchange is missing. One that is declared anew has no bindings at first.
    async fn misses_events(&self, connection: &Connection) -> Result<bool, lapin::Error> {
        let channel = connection.create_channel().await?;
        let is_events = |exchange: &&Exchange| exchange.name == self.objects.catch_all.from;
        let events = self.objects.exchanges.iter().find(is_events);
        let Some(events) = events else { return Ok(false) };
        let is_there = exists(&channel, events).await?;
        if is_there {
            channel.close(200, "looked".into()).await?;
        }
        Ok(!is_there)
    }

    /// Makes all bindings, and only then removes the one that stood in for them, which another process may have made.
    async fn bind_all(&self, channel: &Channel) -> Result<(), lapin::Error> {
        for binding in &self.objects.bindings {
            bind(channel, binding).await?;
        }
        unbind(channel, &self.objects.catch_all).await
    }

    /// The names of exchanges and queues that are not there. For each of them the broker closes the channel.
    async fn missing(&self, connection: &Connection) -> Result<Vec<String>, lapin::Error> {
        let mut missing = Vec::new();
        let mut channel = connection.create_channel().await?;
        for exchange in &self.objects.exchanges {
            if !exists(&channel, exchange).await? {
                missing.push(exchange.name.clone());
                channel = connection.create_channel().await?;
            }
        }
        for queue in &self.objects.queues {
            if count(&channel, &queue.name).await?.is_none() {
                missing.push(queue.name.clone());
                channel = connection.create_channel().await?;
            }
        }
        channel.close(200, "looked".into()).await?;
        Ok(missing)
    }

    fn report(&self, missing: &[String]) {
        let Some(since) = self.last_whole().filter(|_| !missing.is_empty()) else {
            return;
        };
        self.metrics.topology_missing_since(since);
        tracing::error!(
            missing = missing.join(", "),
            since = since.to_rfc3339(),
            "exchanges or queues were missing and are declared again; what the queues held is gone"
        );
    }

    fn last_whole(&self) -> Option<Timestamp> {
        *self.whole.lock()
    }

    fn set_whole(&self, at: Timestamp) {
        *self.whole.lock() = Some(at);
    }
}

/// What the broker counts of a queue.
pub(super) struct Counts {
    /// Messages that are ready.
    pub(super) messages: u32,
    /// Consumers.
    pub(super) consumers: u32,
}

impl Counts {
    /// Whether all counts are zero: the broker says so too of a queue whose leader is gone or does not answer in time.
    pub(super) fn is_nothing(&self) -> bool {
        self.messages == 0 && self.consumers == 0
    }
}

/// How many messages are ready in a queue; `None`: there is no such queue, and the channel is closed.
pub(super) async fn count(channel: &Channel, queue: &str) -> Result<Option<u32>, lapin::Error> {
    Ok(counts(channel, queue).await?.map(|counts| counts.messages))
}

/// What the broker counts of a queue; `None`: there is no such queue, and the channel is closed.
pub(super) async fn counts(channel: &Channel, queue: &str) -> Result<Option<Counts>, lapin::Error> {
    let options = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
    match declared.await {
        Ok(queue) => Ok(Some(Counts {
            messages: queue.message_count(),
            consumers: queue.consumer_count(),
        })),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the broker says that there is no such exchange or queue.
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

/// Whether there is such an exchange; if not, the channel is closed.
async fn exists(channel: &Channel, exchange: &Exchange) -> Result<bool, lapin::Error> {
    let options = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let (name, kind) = (exchange.name.as_str(), exchange.kind.clone());
    let asked = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
    match asked.await {
        Ok(()) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn bind(channel: &Channel, binding: &Binding) -> Result<(), lapin::Error> {
    let (from, key) = (binding.from.as_str().into(), binding.key.as_str().into());
    match &binding.to {
        Target::Queue(queue) => {
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue.as_str().into(), from, key, options, FieldTable::default())
                .await
        }
        Target::Exchange(exchange) => {
            let options = ExchangeBindOptions::default();
            channel
                .exchange_bind(exchange.as_str().into(), from, key, options, FieldTable::default())
                .await
        }
    }
}

/// Removes a binding between exchanges; one that is not there is no error.
async fn unbind(channel: &Channel, binding: &Binding) -> Result<(), lapin::Error> {
    let Target::Exchange(exchange) = &binding.to else {
        return Ok(());
    };
    let (from, key) = (binding.from.as_str().into(), binding.key.as_str().into());
    let options = ExchangeUnbindOptions::default();
    channel
        .exchange_unbind(exchange.as_str().into(), from, key, options, FieldTable::default())
        .await
}
