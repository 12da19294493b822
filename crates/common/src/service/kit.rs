//! What a service works with, from its settings: metrics, broker, database, changes, health, the operations port.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use contracts::topology::Queue;
use sea_orm::DbErr;

use crate::Timestamp;
use crate::config::Settings;
use crate::database::{Database, DatabaseError};
use crate::dispatch::{DispatchOptions, Dispatcher, Holds, Sender, Waker};
use crate::http::Endpoint;
use crate::messaging::{
    Broker, BrokerError, Changes, Consumer, ConsumerOptions, Intake, Kafka, KafkaError, spawn_kafka_relay, spawn_relay,
};
use crate::operations::{Api, Key, Known, Tables, deliveries, holds, journey};
use crate::outbound::Outbound;
use crate::process::operations::{self, Port};
use crate::process::{Health, Need, Tasks};
use crate::resilience::Breakers;
use crate::retention::{Pruner, Table};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// What a service says of itself to have its kit opened.
#[derive(Debug)]
pub struct Parts {
    /// Names of the migrations that its tables come from.
    pub tables: Vec<String>,
    /// The broker that several services of one process share; without one, the settings say where it is.
    pub broker: Option<Broker>,
    /// Whether the service can do its main job while the broker is away.
    pub broker_is: Need,
    /// Whether its changes tell events. Such a service calls [`Kit::relay`]. Without, no outlet to Kafka is opened.
    pub tells_events: bool,
}

/// Why a kit can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The broker's settings can't be right.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The settings ask for an outlet to Kafka, and it can't be set up.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database's settings can't be right, or its tables are missing.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What one service works with. Everything that it starts ends with the service's tasks.
pub struct Kit<'a> {
    settings: &'a Settings,
    tasks: &'a Tasks,
    /// Where the service counts.
    pub metrics: Metrics,
    /// The broker, connected or on the way to it.
    pub broker: Broker,
    /// The service's own database.
    pub database: Database,
    /// Its changes: the only way to write.
    pub changes: Changes,
    /// Where other systems read the events, if anywhere.
    kafka: Option<Kafka>,
    /// What `/readyz` answers from. The database and the broker are in it already.
    pub health: Health,
    /// The breakers of what the service asks of others, for whoever runs it.
    breakers: Breakers,
    operations: Api,
}

impl<'a> Kit<'a> {
    /// Opens the kit of the service whose tasks these are. Neither broker nor PostgreSQL need be there yet.
    ///
    /// # Errors
    /// [`KitError`] when a setting can't be used, or the database has no tables.
    pub async fn open(settings: &'a Settings, tasks: &'a Tasks, parts: Parts) -> Result<Self, KitError> {
        let metrics = Metrics::new(tasks.service());
        let broker = match parts.broker {
            Some(broker) => broker,
            None => Broker::connect(settings, tasks, &metrics)?,
        };
        let outlet = &settings.outlets.kafka;
        let has_outlet = parts.tells_events && outlet.is_on();
        let kafka = has_outlet.then(|| Kafka::connect(settings)).transpose()?;
        let tables: Arc<[String]> = parts.tables.into();
        let database = Database::open(settings, tasks.service(), &tables, &metrics).await?;
        let health = Health::default();
        let (asked, heard) = (database.clone(), broker.clone());
        health.register("database", Need::Required, move || {
            let (asked, tables) = (asked.clone(), Arc::clone(&tables));
            async move { asked.readiness(&tables).await }
        });
        health.register("broker", parts.broker_is, move || ready(heard.finding()));
        let mut changes = Changes::new(tasks.service(), database.clone());
        if kafka.is_some() {
            changes = changes.and_for_kafka();
        }
        let breakers = Breakers::default();
        let operations = Api::new((tasks.service(), settings), &metrics, changes.clone(), breakers.clone());
        Ok(Self {
            settings,
            tasks,
            metrics,
            broker,
            database,
            changes,
            kafka,
            health,
            breakers,
            operations,
        })
    }

    /// Connects to the store; the service works without it, slower.
    ///
    /// # Errors
    /// When `store.url` is not one of a store; a server that is away is no error.
    pub fn store(&self) -> Result<Store, store::OpenError> {
        let store = Store::connect(self.settings, self.tasks, &self.metrics)?;
        if let Some(breaker) = store.breaker() {
            self.breakers.add(&"redis".into(), breaker);
        }
        let asked = store.clone();
        self.health
            .register("store", Need::Optional, move || ready(asked.finding()));
        Ok(store)
    }

    /// What the service's calls to other systems share; `store` is where replicas keep rates together.
    pub fn outbound(&self, store: &Store) -> Outbound {
        Outbound {
            metrics: self.metrics.clone(),
            store: store.clone(),
            breakers: self.breakers.clone(),
        }
    }

    /// Publishes the events that the service's changes tell, also to Kafka where that outlet is on. A service that tells no
    /// events needs no relay ([`Parts::tells_events`]).
    pub fn relay(&self) {
        spawn_relay(&self.changes, self.broker.clone(), self.metrics.clone(), self.tasks);
        if let Some(kafka) = &self.kafka {
            spawn_kafka_relay(&self.changes, kafka.clone(), self.metrics.clone(), self.tasks);
            let asked = kafka.clone();
            self.health
                .register("kafka", Need::Optional, move || ready(asked.finding()));
        }
    }

    /// Lets operators hold these destinations of the service's deliveries, and these deliverers: behind a destination its
    /// deliveries wait, while in the place of a deliverer another one is asked. Holds are shown in readiness and metrics.
    pub fn holds(&mut self, destinations: Vec<String>, deliverers: Vec<String>) -> Holds {
        let holds = Holds::spawn(self.database.clone(), destinations, deliverers, self.tasks);
        let shown = holds.clone();
        self.metrics.at_each_reading(move |metrics| {
            let now = Timestamp::now();
            for name in shown.destinations() {
                metrics.destination_held(name, shown.shown(name, now));
            }
        });
        let told = holds.clone();
        self.health.shows_held(move || told.held(Timestamp::now()));
        let state = holds::State {
            changes: self.changes.clone(),
            holds: holds.clone(),
        };
        self.operations.add(Arc::new(state), holds::rows);
        holds
    }

    /// Has the service's deliveries sent, and shown in its operations API.
    pub fn dispatch<S: Sender>(&mut self, sender: S, options: DispatchOptions) -> Waker {
        let channels = options.channels;
        let dispatcher = Dispatcher {
            changes: self.changes.clone(),
            sender,
            options,
            broker: Some(self.broker.clone()),
        };
        let waker = dispatcher.spawn(self.metrics.clone(), self.tasks);
        let state = deliveries::State {
            changes: self.changes.clone(),
            waker: waker.clone(),
            channels,
            metrics: self.metrics.clone(),
        };
        self.operations.add(Arc::new(state), deliveries::rows);
        waker
    }

    /// Takes in what comes to `queue`; readiness shows it as `consumer`. A second call would replace the first one there.
    pub fn consume<I: Intake>(&self, queue: Queue, intake: I) {
        let consumer = Consumer {
            queue,
            intake,
            changes: self.changes.clone(),
            options: ConsumerOptions::new(self.settings),
        };
        let consuming = self.broker.consume(consumer, &self.metrics, self.tasks);
        self.health
            .register("consumer", Need::Optional, move || ready(consuming.state()));
    }

    /// Has the service's tables keep themselves small.
    pub fn prune(&self, tables: &'static [Table]) {
        Pruner::new(self.settings, self.database.clone(), tables, self.metrics.clone()).spawn(self.tasks);
    }

    /// Adds rows of the service's own to its operations API, and the state that they work with. Their paths begin with
    /// `/operations`.
    pub fn add_operations<S: Send + Sync + 'static>(&mut self, state: Arc<S>, rows: fn() -> Vec<Endpoint>) {
        self.operations.add(state, rows);
    }

    /// Has the service tell what it knows of a journey, from these tables and from `knows`, which finds the person of a key.
    pub fn journeys<F, Fut>(&mut self, tables: Tables, knows: F)
    where
        F: Fn(Key) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Known, DbErr>> + Send + 'static,
    {
        let state = journey::State {
            database: self.database.clone(),
            tables,
            knows: Arc::new(move |key| Box::pin(knows(key))),
        };
        self.operations.add(Arc::new(state), journey::rows);
    }

    /// Serves the operations port; answers with its address.
    ///
    /// # Errors
    /// An [`io::Error`] that names the setting when the port can't be taken.
    pub fn serve_operations(&self) -> io::Result<SocketAddr> {
        let port = Port {
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            pages: vec![self.operations.pages()],
        };
        operations::serve(self.settings, port, self.tasks)
    }
}
