//! The handle to the message broker: `RabbitMQ`, or one in memory for a single process.

use std::fmt;
use std::future::Future;

use contracts::topology::{EVENTS_EXCHANGE, Queue};

use super::consumer::{Consumer, Consuming, Intake, Processor};
use super::dead_letter::DeadLetter;
use super::dead_letters::DeadLetters;
use super::error::{BrokerError, PublishError};
use super::memory::{self, Memory};
use super::message::OutboundMessage;
use super::rabbit::Rabbit;
use super::sign::SignOfLife;
use super::trace;
use crate::config::{BrokerUrl, Service, Settings};
use crate::database::Database;
use crate::process::{Finding, State, Tasks};
use crate::telemetry::{Metrics, TraceContext};

/// The handle to the message broker. Cheap to clone.
#[derive(Clone)]
pub struct Broker(Kind);

#[derive(Clone)]
enum Kind {
    Rabbit(Rabbit),
    Memory(Memory),
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Broker").field(&self.system()).finish()
    }
}

impl Broker {
    /// Begins to connect to `RabbitMQ`, in the background and for as long as `tasks` live. Returns at once.
    ///
    /// # Errors
    /// [`BrokerError`] when the settings can't be used, or ask for a broker in memory. A broker that is away is no error.
    pub fn connect(settings: &Settings, tasks: &Tasks, metrics: &Metrics) -> Result<Self, BrokerError> {
        match &settings.broker.url {
            BrokerUrl::Memory => Err(BrokerError::MemoryBetweenProcesses),
            BrokerUrl::Nodes(nodes) => {
                let rabbit = Rabbit::connect(nodes, &settings.broker, tasks, metrics)?;
                Ok(Self(Kind::Rabbit(rabbit)))
            }
        }
    }

    /// A broker in memory: made once in a process, cloned into each of its services.
    ///
    /// A publish is confirmed when every bound queue is done with the message for good, so whatever
    /// a crash interrupts is still in the outbox.
    pub fn memory() -> Self {
        Self(Kind::Memory(Memory::new()))
    }

    /// How the broker is, as far as this process can tell.
    pub fn state(&self) -> State {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.state(),
            Kind::Memory(_) => State::Up,
        }
    }

    /// As [`Broker::state`], with what is wrong and what cures it, where that is known.
    pub fn finding(&self) -> Finding {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.finding(),
            Kind::Memory(_) => State::Up.into(),
        }
    }

    /// Asks every queue whether it has a leader: one that has none takes no messages and gives none.
    ///
    /// Answers with what is wrong and its cure; `None` when no queue is known to lack a leader. A queue that can't be asked
    /// counts as it did before.
    pub async fn queues_without_leader(&self) -> Option<String> {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.leaderless().await,
            Kind::Memory(_) => None,
        }
    }

    /// Asks every node that the settings name whether it answers, for 3 s at most. Answers with those that do not, by host
    /// and port. One node is enough to work with. Over TLS an open port counts as an answer.
    pub async fn nodes_away(&self) -> Vec<String> {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.nodes_away().await,
            Kind::Memory(_) => Vec::new(),
        }
    }

    /// Publishes to the events exchange and waits for the confirmation.
    ///
    /// For the relay, and for tests: a new message goes through an outbox. For `RabbitMQ` the wait has a limit. In memory it
    /// has none: it ends when every bound queue is done with the message.
    ///
    /// # Errors
    /// [`PublishError`] when it was not confirmed.
    pub async fn publish(&self, message: OutboundMessage) -> Result<(), PublishError> {
        let parent = message.trace();
        let kind = message.kind().to_owned();
        let id = message.id().to_string();
        let span = || trace::producer(self.system(), EVENTS_EXCHANGE, &kind, &id);
        match &self.0 {
            Kind::Rabbit(rabbit) => {
                let publish = async {
                    let confirmed = rabbit
                        .publish_event(&kind, &message.into_wire(TraceContext::current()))
                        .await;
                    if confirmed.is_err() {
                        trace::failed();
                    }
                    confirmed
                };
                trace::continuing(parent.as_ref(), span, publish).await
            }
            Kind::Memory(memory) => {
                let publish = async { memory.publish_event(&kind, &message.into_wire(TraceContext::current())) };
                // The span ends before `by_all`: how long the handlers take is shown by their own spans.
                trace::continuing(parent.as_ref(), span, publish).await.by_all().await
            }
        }
    }

    /// Consumes a queue for as long as the service lives, whatever becomes of the broker meanwhile. Returns at once.
    ///
    /// When the service stops, no new message is taken. What is in hand has 3 s to finish; then it is handed back.
    pub fn consume<I: Intake>(&self, consumer: Consumer<I>, metrics: &Metrics, tasks: &Tasks) -> Consuming {
        metrics.consumes(consumer.queue.name);
        metrics.critical_times(consumer.queue.bindings);
        let processor = Processor::new(self.system(), consumer, metrics.clone(), tasks.stopping().clone());
        let consuming = Consuming::of(&processor.gate);
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.consume(processor, tasks),
            Kind::Memory(memory) => tasks.spawn("consumer", memory::consume(memory.clone(), processor)),
        }
        consuming
    }

    /// Tells the other processes of `service` what a dispatcher of this one has in hand.
    ///
    /// # Errors
    /// [`PublishError`] when the broker did not confirm it; in memory always, since there is no other process to tell.
    pub(crate) async fn vouch(&self, service: Service, sign: &SignOfLife) -> Result<(), PublishError> {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.vouch(service, sign).await,
            Kind::Memory(_) => Err(PublishError::Unavailable),
        }
    }

    /// Calls `heard` with each sign of life of the processes of `service`, this one included. Never returns.
    pub(crate) async fn hear(&self, service: Service, heard: impl FnMut(SignOfLife)) {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.hear(service, heard).await,
            Kind::Memory(_) => std::future::pending().await,
        }
    }

    /// The dead letters of `queue`, for those who run the system; `database` is the one of the queue's consumer.
    pub fn letters(&self, queue: Queue, database: Database) -> DeadLetters {
        match &self.0 {
            Kind::Rabbit(rabbit) => DeadLetters::on_rabbit(queue, rabbit.clone(), database),
            Kind::Memory(_) => DeadLetters::in_table(queue, database),
        }
    }

    /// Looks at the oldest messages that were set aside from `queue`, `limit` at most; they stay where they are. In memory
    /// there are none to see before the queue has had a consumer in this process.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] when the broker, or in memory the consumer's database, does not answer.
    pub async fn dead_letters(&self, queue: Queue, limit: u16) -> Result<Vec<DeadLetter>, PublishError> {
        let wires = match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.dead_letters(queue, limit).await?,
            Kind::Memory(memory) => memory.dead_letters(queue, limit).await?,
        };
        Ok(wires.iter().map(|wire| DeadLetter::of(queue.name, wire)).collect())
    }

    /// Whether a publish has a chance.
    pub(super) fn is_ready(&self) -> bool {
        match &self.0 {
            Kind::Rabbit(rabbit) => rabbit.is_ready(),
            Kind::Memory(_) => true,
        }
    }

    /// Resolves when a publish has a chance again.
    pub(super) fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let kind = self.0.clone();
        async move {
            if let Kind::Rabbit(rabbit) = kind {
                rabbit.ready().await;
            }
        }
    }

    /// Replaces the connection for publishes: a broker may refuse a message over one connection and take it over another.
    pub(super) fn connect_anew(&self) {
        if let Kind::Rabbit(rabbit) = &self.0 {
            rabbit.connect_anew();
        }
    }

    /// How many aggregates' messages may wait for their confirmation at once.
    ///
    /// In memory a confirmation waits for the handlers, retries included, so many more may be open.
    pub(super) fn window(&self) -> usize {
        match &self.0 {
            // Three quarters of them keep the broker busy while rows are deleted and read.
            Kind::Rabbit(_) => 300,
            Kind::Memory(_) => 1_000,
        }
    }

    /// The broker's name in spans, for `messaging.system`.
    fn system(&self) -> &'static str {
        match &self.0 {
            Kind::Rabbit(_) => "rabbitmq",
            Kind::Memory(_) => "memory",
        }
    }
}
