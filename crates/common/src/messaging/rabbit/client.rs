//! One service's way to RabbitMQ.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use contracts::topology::Queue;
use lapin::options::BasicGetOptions;
use secrecy::{ExposeSecret, SecretString};

use super::amqp;
use super::consume::Worker;
use super::dead::DeadQueue;
use super::deadline::{CALL, within};
use super::held::Settler;
use super::keeper::Keeper;
use super::leaders::Leaders;
use super::link::Link;
use super::names::{Destination, Names};
use super::nodes::Nodes;
use super::publish::Publisher;
use super::scout::Scout;
use super::signs;
use super::topology::Topology;
use super::unrouted::Unrouted;
use crate::config::{self, Service};
use crate::messaging::consumer::{Intake, Processor};
use crate::messaging::error::{BrokerError, DeadLettersError, PublishError};
use crate::messaging::sign::SignOfLife;
use crate::messaging::wire::Wire;
use crate::process::{Finding, State, Tasks};
use crate::telemetry::Metrics;
use crate::tls::{self, Authorities};

/// One service's way to the broker. Cheap to clone.
#[derive(Clone)]
pub(in crate::messaging) struct Rabbit {
    names: Arc<Names>,
    publisher: Publisher,
    consuming: Link,
    scout: Arc<Scout>,
}

impl Rabbit {
    /// Begins to connect, over two connections: one that the broker blocks for publishes takes no acknowledgements either.
    pub(in crate::messaging) fn connect(
        nodes: &SecretString,
        settings: &config::Broker,
        tasks: &Tasks,
        metrics: &Metrics,
    ) -> Result<Self, BrokerError> {
        let authorities = Authorities::read("broker.ca_file", &settings.ca_file)?;
        let nodes = Nodes::read(nodes.expose_secret(), tls::client(authorities.as_ref())?.into())?;
        let names = Arc::new(Names::new(&settings.namespace)?);
        let leaders = Arc::new(Leaders::default());
        let topology = Topology::new(&names, &settings.retry_delays, metrics.clone(), leaders.clone());
        let topology = Arc::new(topology);
        let scout = Arc::new(Scout {
            nodes: nodes.clone(),
            queues: topology.queues().into(),
            leaders,
            answering: AtomicUsize::default(),
        });
        tasks.spawn("queues without a leader", scout.clone().run(tasks.stopping().clone()));
        let publishing = Link::spawn("publish", nodes.clone(), topology.clone(), tasks);
        let shown = publishing.clone();
        metrics.at_each_reading(move |metrics| metrics.broker_blocked(shown.is_blocked()));
        let consuming = Link::spawn("consume", nodes, topology.clone(), tasks);
        let publisher = Publisher::new(names.clone(), publishing);
        let keeper = Keeper {
            topology,
            link: consuming.clone(),
            unrouted: Unrouted::new(names.clone(), publisher.clone(), metrics.clone()),
            stopping: tasks.stopping().clone(),
        };
        tasks.spawn("broker topology", keeper.run());
        Ok(Self {
            names,
            publisher,
            consuming,
            scout,
        })
    }

    pub(in crate::messaging) fn state(&self) -> State {
        self.finding().state
    }

    pub(in crate::messaging) fn finding(&self) -> Finding {
        let [publisher, consuming] = [self.publisher.link().finding(), self.consuming.finding()];
        let leaderless = self.scout.leaders.cure();
        let state = publisher.state.max(consuming.state);
        let mut nodes: Vec<_> = [publisher.node, consuming.node].into_iter().flatten().collect();
        nodes.dedup();
        Finding {
            node: (!nodes.is_empty()).then(|| nodes.join(", ")),
            state: leaderless.as_ref().map_or(state, |_| state.max(State::Degraded)),
            cure: leaderless.map(Into::into).or(publisher.cure).or(consuming.cure),
        }
    }

    /// Asks every queue whether it has a leader; answers with what is wrong and its cure, as far as is known.
    pub(in crate::messaging) async fn leaderless(&self) -> Option<String> {
        let _ = self.scout.look().await;
        self.scout.leaders.cure()
    }

    /// The nodes that do not answer, by host and port.
    pub(in crate::messaging) async fn nodes_away(&self) -> Vec<String> {
        self.scout.nodes.away().await
    }

    pub(in crate::messaging) fn is_ready(&self) -> bool {
        self.publisher.link().state() == State::Up
    }

    /// Resolves when publishes have a chance; never when the service stops before.
    pub(in crate::messaging) async fn ready(&self) {
        self.publisher.link().up().await;
    }

    pub(in crate::messaging) fn connect_anew(&self) {
        if let Some(session) = self.publisher.link().session() {
            session.give_up("a queue is full over it, and may not be over another");
        }
    }

    pub(in crate::messaging) async fn publish_event(&self, kind: &str, wire: &Wire) -> Result<(), PublishError> {
        self.publisher.publish(&Destination::Event(kind), wire).await
    }

    /// Consumes the processor's queue for as long as `tasks` live.
    pub(in crate::messaging) fn consume<I: Intake>(&self, processor: Processor<I>, tasks: &Tasks) {
        let worker = Worker {
            names: self.names.clone(),
            link: self.consuming.clone(),
            settler: Settler {
                queue: processor.queue.name,
                publisher: self.publisher.clone(),
                stopping: processor.stopping.clone(),
            },
            processor,
        };
        tasks.spawn("consumer", worker.run());
    }

    /// Tells the processes of `service` what a dispatcher of this one has in hand.
    pub(in crate::messaging) async fn vouch(&self, service: Service, sign: &SignOfLife) -> Result<(), PublishError> {
        signs::tell(&self.names, self.publisher.link(), service.name(), sign).await
    }

    /// Calls `heard` with each sign of life of the processes of `service`. Never returns.
    pub(in crate::messaging) async fn hear(&self, service: Service, heard: impl FnMut(SignOfLife)) {
        signs::hear(&self.names, &self.consuming, service.name(), heard).await;
    }

    /// Opens the dead letters of a queue, for a command that goes through all of them; waits for its turn.
    pub(in crate::messaging) async fn open_dead(&self, queue: Queue) -> Result<DeadQueue, DeadLettersError> {
        let session = self.consuming.session();
        let session = session.ok_or_else(|| DeadLettersError::Broker("there is no connection".to_owned()))?;
        DeadQueue::open(&self.names, session, queue.name).await
    }

    /// Puts a message into a queue directly, past the events exchange.
    pub(in crate::messaging) async fn put_into(&self, queue: Queue, wire: &Wire) -> Result<(), PublishError> {
        self.publisher.publish(&Destination::Work(queue.name), wire).await
    }

    /// Reads the first dead letters without taking them: closing the channel gives them back.
    pub(in crate::messaging) async fn dead_letters(&self, queue: Queue, limit: u16) -> Result<Vec<Wire>, PublishError> {
        let session = self.consuming.session().ok_or(PublishError::Unavailable)?;
        let looking = async {
            let channel = session.connection.create_channel().await?;
            let mut wires = Vec::new();
            while wires.len() < usize::from(limit) {
                let options = BasicGetOptions::default();
                let Some(letter) = channel.basic_get(self.names.dead(queue.name).into(), options).await? else {
                    break;
                };
                wires.push(amqp::read(letter.delivery));
            }
            channel.close(200, "looked".into()).await?;
            Ok(wires)
        };
        within(CALL, looking).await.map_err(|_| PublishError::Unavailable)
    }
}
