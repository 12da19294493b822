//! What the tests of messaging stand on: a broker, a service's tasks, an intake that is told what to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::config::{Service, Settings};
use common::database::Database;
use common::messaging::{
    Broker, Change, Changes, Consumer, ConsumerOptions, Consuming, DeadLetter, Intake, Message, OutboundMessage,
    Rejection, spawn_relay,
};
use common::process::{State, Tasks};
use common::telemetry::{Metrics, TraceContext};
use contracts::events::{EmailSent, Person, UserRegistered};
use contracts::topology::{QUEUES, Queue};
use contracts::{Event, EventData};
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{EntityTrait, PaginatorTrait};
use secrecy::ExposeSecret;
use test_support::{Namespace, PrivatePostgres, TestDatabase, amqp_url, eventually};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

/// Longest that anything here may take, on a machine that builds beside.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The tests' delay queues, in milliseconds.
pub(crate) const LADDER: [u64; 2] = [50, 150];

/// A broker of one test's own, and the tasks of a service that uses it.
pub(crate) struct Fixture {
    pub(crate) broker: Broker,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    /// Where messages are taken in, unless a test has its own.
    store: Store,
    namespace: Option<Namespace>,
}

impl Fixture {
    /// On the shared `RabbitMQ`.
    pub(crate) async fn rabbit() -> Self {
        Self::rabbit_with(&LADDER).await
    }

    pub(crate) async fn rabbit_with(ladder: &[u64]) -> Self {
        let fixture = Self::rabbit_at(&amqp_url(), Namespace::unique(), ladder).await;
        fixture.is_up().await;
        fixture
    }

    /// On the shared `RabbitMQ`, through another address.
    pub(crate) async fn shared_through(url: &str) -> Self {
        Self::rabbit_at(url, Namespace::unique(), &LADDER).await
    }

    /// On a private `RabbitMQ`, which need not run yet.
    pub(crate) async fn private(url: &str) -> Self {
        Self::rabbit_at(url, Namespace::unique(), &LADDER).await
    }

    pub(crate) async fn memory() -> Self {
        Self::memory_with(&LADDER).await
    }

    pub(crate) async fn memory_with(ladder: &[u64]) -> Self {
        Self {
            broker: Broker::memory(),
            settings: settings(ladder),
            metrics: Metrics::new(Service::EmailWorker),
            tasks: Tasks::new(Service::EmailWorker),
            store: Store::postgres().await,
            namespace: None,
        }
    }

    async fn rabbit_at(url: &str, namespace: Namespace, ladder: &[u64]) -> Self {
        let mut settings = settings(ladder);
        settings.broker.url = url.into();
        namespace.name().clone_into(&mut settings.broker.namespace);
        let (metrics, tasks) = (Metrics::new(Service::EmailWorker), Tasks::new(Service::EmailWorker));
        Self {
            broker: Broker::connect(&settings, &tasks, &metrics).unwrap(),
            settings,
            metrics,
            tasks,
            store: Store::postgres().await,
            namespace: Some(namespace),
        }
    }

    /// Another process with the same settings.
    pub(crate) fn neighbour(&self) -> (Broker, Tasks) {
        let tasks = Tasks::new(Service::NotificationGateway);
        let broker = Broker::connect(&self.settings, &tasks, &self.metrics).unwrap();
        (broker, tasks)
    }

    pub(crate) async fn is_up(&self) {
        eventually(SOON, async || self.broker.state() == State::Up).await;
    }

    /// The name of an exchange or queue on the broker.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace())
    }

    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_ref().unwrap().name()
    }

    pub(crate) fn options(&self) -> ConsumerOptions {
        ConsumerOptions::new(&self.settings)
    }

    /// Consumes `queue`, doing what `act` says.
    pub(crate) fn consume<F>(&self, queue: Queue, act: F) -> Seen
    where
        F: Fn(&Message) -> Act + Send + Sync + 'static,
    {
        self.consume_as(&self.tasks, queue, self.options(), act)
    }

    pub(crate) fn consume_as<F>(&self, tasks: &Tasks, queue: Queue, options: ConsumerOptions, act: F) -> Seen
    where
        F: Fn(&Message) -> Act + Send + Sync + 'static,
    {
        let seen = Seen::default();
        let consumer = Consumer {
            queue,
            intake: Told {
                seen: seen.clone(),
                act: Box::new(act),
            },
            changes: self.store.changes(),
            options,
        };
        self.broker.consume(consumer, &self.metrics, tasks);
        seen
    }

    /// Consumes `queue` into another database than the fixture's.
    pub(crate) fn consume_into<I: Intake>(&self, store: &Store, queue: Queue, intake: I) -> Consuming {
        self.consume_into_as(&self.tasks, store, queue, intake)
    }

    pub(crate) fn consume_into_as<I: Intake>(
        &self,
        tasks: &Tasks,
        store: &Store,
        queue: Queue,
        intake: I,
    ) -> Consuming {
        let consumer = Consumer {
            queue,
            intake,
            changes: store.changes(),
            options: self.options(),
        };
        self.broker.consume(consumer, &self.metrics, tasks)
    }

    /// Consumes every queue that is not `queue`: in memory a publish waits for all of them.
    pub(crate) fn consume_others(&self, queue: Queue) {
        for other in QUEUES.iter().filter(|other| other.name != queue.name) {
            self.consume(*other, |_| done());
        }
    }

    /// Relays what is told of in `store`.
    pub(crate) fn relay(&self, store: &Store) -> Changes {
        let changes = store.changes();
        spawn_relay(&changes, self.broker.clone(), self.metrics.clone(), &self.tasks);
        changes
    }

    /// Publishes in the background: in memory the confirmation waits for the handlers.
    pub(crate) fn publish(&self, message: OutboundMessage) {
        let broker = self.broker.clone();
        self.tasks.spawn("publish", async move {
            let _ = broker.publish(message).await;
        });
    }

    /// Waits until `queue` has so many dead letters.
    pub(crate) async fn dead_letters(&self, queue: Queue, count: usize) -> Vec<DeadLetter> {
        eventually(SOON, async || {
            let letters = self.broker.dead_letters(queue, 100).await.ok()?;
            (letters.len() >= count).then_some(letters)
        })
        .await
    }

    pub(crate) async fn end(self) {
        let _ = self.tasks.shut_down(Duration::from_secs(5)).await;
    }
}

fn settings(ladder: &[u64]) -> Settings {
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.broker.retry_delays = ladder.iter().copied().map(Duration::from_millis).collect();
    settings
}

/// What an intake does with a message.
pub(crate) type Act = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

pub(crate) fn done() -> Act {
    Box::pin(async { Ok(()) })
}

pub(crate) fn fail(error: &'static str) -> Act {
    Box::pin(async move { Err(Rejection::retry(error)) })
}

/// What an intake was given.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(Message, TraceContext)>>>);

impl Seen {
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(message, _)| message.clone())
            .collect()
    }

    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.messages().iter().map(|message| message.id).collect()
    }

    pub(crate) fn traces(&self) -> Vec<TraceContext> {
        self.0.lock().unwrap().iter().map(|(_, trace)| trace.clone()).collect()
    }

    pub(crate) async fn reaches(&self, count: usize) -> Vec<Message> {
        eventually(SOON, async || {
            let messages = self.messages();
            (messages.len() >= count).then_some(messages)
        })
        .await
    }
}

struct Told {
    seen: Seen,
    act: Box<dyn Fn(&Message) -> Act + Send + Sync>,
}

impl Intake for Told {
    async fn take(&self, message: &Message, _: &mut Change) -> Result<(), Rejection> {
        self.seen
            .0
            .lock()
            .unwrap()
            .push((message.clone(), TraceContext::current()));
        (self.act)(message).await
    }
}

/// Consumes every queue of `broker` into `changes`; answers with all that was taken in.
pub(crate) fn consume_all(broker: &Broker, changes: &Changes, metrics: &Metrics, tasks: &Tasks) -> Seen {
    let seen = Seen::default();
    for queue in QUEUES {
        let consumer = Consumer {
            queue: *queue,
            intake: Told {
                seen: seen.clone(),
                act: Box::new(|_| done()),
            },
            changes: changes.clone(),
            options: ConsumerOptions::new(&Settings::for_tests(Service::EmailWorker)),
        };
        broker.consume(consumer, metrics, tasks);
    }
    seen
}

/// A sign-up of somebody, version `version` of their account.
pub(crate) fn sign_up(user_id: Uuid, version: i64) -> Event<UserRegistered> {
    let person = Person {
        user_id,
        version,
        email: format!("{user_id}@example.org"),
        ..Person::example()
    };
    Event::new(user_id, now(), UserRegistered { person })
}

pub(crate) fn someone() -> Event<UserRegistered> {
    sign_up(Uuid::now_v7(), 1)
}

pub(crate) fn email_sent() -> Event<EmailSent> {
    email_sent_to(Uuid::now_v7())
}

pub(crate) fn email_sent_to(user_id: Uuid) -> Event<EmailSent> {
    let data = EmailSent {
        email_id: Uuid::now_v7(),
        user_id,
        source_event_id: Uuid::now_v7(),
        ..EmailSent::example()
    };
    Event::new(user_id, now(), data)
}

pub(crate) fn outbound<T: EventData>(event: &Event<T>) -> OutboundMessage {
    OutboundMessage::of(Service::UserApi, event, TraceContext::fresh()).unwrap()
}

/// The message with some headers replaced, or taken away by an empty text.
pub(crate) fn with_headers(message: &OutboundMessage, changes: &[(&str, &str)]) -> OutboundMessage {
    let mut headers: BTreeMap<String, String> = message.headers().clone();
    for (name, value) in changes {
        headers.remove(*name);
        if !value.is_empty() {
            headers.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    OutboundMessage::from_parts(message.id(), message.kind().to_owned(), headers, message.body().clone())
}

fn now() -> OffsetDateTime {
    common::Timestamp::now().to_offset()
}

/// A migrated database of one test's own, as email-worker has it.
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) settings: Settings,
    _test: Option<TestDatabase>,
}

impl Store {
    pub(crate) async fn postgres() -> Self {
        let test = TestDatabase::postgres().await;
        test.execute("CREATE SCHEMA email_worker").await;
        Self::at(test.url().to_owned(), Some(test)).await
    }

    pub(crate) async fn sqlite() -> Self {
        let test = TestDatabase::sqlite();
        Self::at(test.url().to_owned(), Some(test)).await
    }

    /// On PostgreSQL, over another address that leads to it, such as a proxy's.
    pub(crate) async fn through(store: &Store, address: SocketAddr) -> Self {
        let mut url = Url::parse(store.settings.database.url.expose_secret()).unwrap();
        url.set_ip_host(address.ip()).unwrap();
        url.set_port(Some(address.port())).unwrap();
        Self::at(url.into(), None).await
    }

    /// On a server that the test may kill.
    pub(crate) async fn private(server: &PrivatePostgres) -> Self {
        server.execute("CREATE SCHEMA email_worker").await;
        Self::at(server.url(), None).await
    }

    async fn at(url: String, test: Option<TestDatabase>) -> Self {
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = url.into();
        // As many as messages may be in hand: an intake that waits holds one.
        settings.database.max_connections = 40;
        let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(database.unguarded(), None).await.unwrap();
        Self {
            database,
            settings,
            _test: test,
        }
    }

    /// Another replica's handle to the same database.
    pub(crate) async fn replica(&self) -> Database {
        Database::connect(&self.settings, Service::EmailWorker).await.unwrap()
    }

    /// The changes of a service that keeps its rows here; no relay is woken by them.
    pub(crate) fn changes(&self) -> Changes {
        Changes::new(Service::UserApi, self.database.clone())
    }

    pub(crate) async fn outbox_rows(&self) -> u64 {
        // On a machine that builds beside, no connection may be free within its second.
        eventually(SOON, async || {
            outbox::Entity::find().count(self.database.read()).await.ok()
        })
        .await
    }

    pub(crate) async fn outbox_is_empty(&self) {
        eventually(SOON, async || self.outbox_rows().await == 0).await;
    }
}

/// Tells of the events in one change, and commits it.
pub(crate) async fn commit<T: EventData>(changes: &Changes, events: &[Event<T>]) {
    let mut change = eventually(SOON, async || changes.begin().await.ok()).await;
    for event in events {
        change.tell(event).unwrap();
    }
    change.commit().await.unwrap();
}

/// The outbox's table, as far as tests look.
mod outbox {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
