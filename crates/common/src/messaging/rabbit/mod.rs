//! `RabbitMQ`: quorum queues, confirmed publishes, two supervised connections.
//!
//! lapin's own recovery is switched off. It rebuilds parts, and a part that is not rebuilt is a
//! consumer that nobody misses; here a connection that breaks, falls silent or finds its topology
//! missing is replaced as a whole (`link.rs`), and whoever used it begins anew on the next one.
//! Every await on lapin has a deadline (`deadline.rs`): some of its calls can wait for ever.

mod amqp;
mod consume;
mod deadline;
mod knock;
mod link;
mod names;
mod publish;
mod topology;

use std::sync::Arc;

use contracts::topology::Queue;
use lapin::options::BasicGetOptions;
use secrecy::ExposeSecret;

use self::deadline::{CALL, within};
use self::link::Link;
use self::names::{Destination, Names};
use self::publish::Publisher;
use self::topology::Topology;
use super::broker::{BrokerError, PublishError};
use super::wire::Wire;
use crate::config::Settings;
use crate::process::{State, Tasks};
use crate::telemetry::Metrics;

pub(super) use consume::consume;

/// One service's way to the broker. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rabbit {
    names: Arc<Names>,
    publisher: Publisher,
    consuming: Link,
}

impl Rabbit {
    /// Begins to connect: two connections, as a blocked publisher's connection takes no acks either.
    pub(super) fn connect(settings: &Settings, tasks: &Tasks, metrics: &Metrics) -> Result<Self, BrokerError> {
        let nodes = link::nodes(settings.broker.url.expose_secret())?;
        let names = Arc::new(Names::new(&settings.broker.namespace)?);
        let topology = Arc::new(Topology::new(
            names.clone(),
            settings.broker.retry_delays.clone(),
            metrics.clone(),
        ));
        let publishing = Link::spawn("publish", nodes.clone(), topology.clone(), tasks);
        let consuming = Link::spawn("consume", nodes, topology, tasks);
        Ok(Self {
            publisher: Publisher::new(names.clone(), publishing),
            names,
            consuming,
        })
    }

    pub(super) fn state(&self) -> State {
        self.publisher.link().state().max(self.consuming.state())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.publisher.link().state() == State::Up
    }

    /// Resolves when publishes have a chance; for ever pending when the service stops before.
    pub(super) async fn ready(&self) {
        self.publisher.link().up().await;
    }

    pub(super) async fn publish_event(&self, kind: &str, wire: &Wire) -> Result<(), PublishError> {
        self.publisher.publish(&Destination::Event(kind), wire).await
    }

    /// Reads the first dead letters without taking them: closing the channel gives them back.
    pub(super) async fn dead_letters(&self, queue: Queue, limit: u16) -> Result<Vec<Wire>, PublishError> {
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
