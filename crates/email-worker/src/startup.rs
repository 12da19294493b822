//! Brings the service up: the same for the binary, for `waypost run` and for tests.

use std::net::SocketAddr;
use std::sync::Arc;

use common::config::{Service, Settings};
use common::database::Database;
use common::dispatch::{DispatchOptions, Dispatcher};
use common::messaging::{Broker, Changes, Consumer, ConsumerOptions, spawn_relay};
use common::process::{Health, Need, Tasks, operations};
use common::telemetry::Metrics;
use contracts::topology::EMAIL_WORKER_EVENTS;

use crate::consumers::Events;
use crate::delivery::{CHANNEL, MailSender, Transport};
use crate::emails::Emails;

/// Mails in hand at a time: twice as many as conversations with a mail server go on, so that as many may hang.
const PLACES: usize = 16;
/// Of these, to one domain: one whose mails all hang leaves room for others.
const PLACES_PER_DOMAIN: usize = 12;
/// The mail server's name in metrics.
const MAIL: &str = "mail";

/// What a process that holds several services shares between them.
#[derive(Default)]
pub struct Backends {
    /// The broker of the process; otherwise the settings say where it is.
    pub broker: Option<Broker>,
}

/// A running service; it ends with its tasks.
#[derive(Debug)]
pub struct Running {
    /// Where its operations port is.
    pub operations_address: SocketAddr,
}

/// Starts the service. Neither the broker nor the mail server nor PostgreSQL need be there yet.
///
/// # Errors
/// When a setting can't be used, the port is taken, or the tables are missing.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let metrics = Metrics::new(Service::EmailWorker);
    let emails = Emails::new(&settings.mail.from)?;
    let transport = Arc::new(Transport::new(&settings.mail)?);
    let broker = match backends.broker {
        Some(broker) => broker,
        None => Broker::connect(&settings, &tasks, &metrics)?,
    };
    let tables = migrations::email_worker::names();
    let database = Database::open(&settings, Service::EmailWorker, &tables, &metrics).await?;

    let changes = Changes::new(Service::EmailWorker, database.clone());
    let shown = Arc::clone(&transport);
    metrics.at_each_reading(move |metrics| metrics.destination_refuses(MAIL, shown.refuses()));
    spawn_relay(&changes, broker.clone(), metrics.clone(), &tasks);
    let sender = MailSender::new(emails, Arc::clone(&transport));
    let options = DispatchOptions {
        places: PLACES,
        places_per_destination: PLACES_PER_DOMAIN,
        ..DispatchOptions::new(&settings, &[CHANNEL])
    };
    let dispatcher = Dispatcher {
        changes: changes.clone(),
        sender,
        options,
        broker: Some(broker.clone()),
    };
    let waker = dispatcher.spawn(metrics.clone(), &tasks);
    let consumer = Consumer {
        queue: EMAIL_WORKER_EVENTS,
        intake: Events { dispatcher: waker },
        changes,
        options: ConsumerOptions::new(&settings),
    };
    let consuming = broker.consume(consumer, &metrics, &tasks);

    let health = health(database, tables, broker, transport);
    health.register("consumer", Need::Optional, move || {
        std::future::ready(consuming.state())
    });
    let operations_address = operations::serve(&settings, health, metrics, &tasks)?;
    Ok(Running { operations_address })
}

/// Without database or broker no mail is asked for; without its mail server the service only falls behind.
fn health(database: Database, tables: Vec<String>, broker: Broker, transport: Arc<Transport>) -> Health {
    let health = Health::default();
    let tables: Arc<[String]> = tables.into();
    health.register("database", Need::Required, move || {
        let (database, tables) = (database.clone(), Arc::clone(&tables));
        async move { database.readiness(&tables).await }
    });
    health.register("broker", Need::Required, move || std::future::ready(broker.finding()));
    health.register(MAIL, Need::Optional, move || std::future::ready(transport.finding()));
    health
}
