//! One test's world: a database, a corner of the broker, a mail server, and workers over them.

use std::sync::Arc;
use std::time::Duration;

use common::config::Service;
use common::database::Database;
use common::messaging::{
    Broker, Change, Changes, Consumer, ConsumerOptions, Intake, Message, OutboundMessage, Rejection,
};
use common::process::Tasks;
use common::telemetry::{Metrics, TraceContext};
use contracts::events::{EmailSent, Person, UserRegistered};
use contracts::topology::GATEWAY_EVENTS;
use contracts::{Event, EventData};
use email_worker::{Backends, Running, Settings, start};
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use serde_json::Value;
use test_support::{Namespace, SmtpReceiver, TestDatabase, amqp_url, eventually};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

/// The token of the operations API.
pub(crate) const TOKEN: &str = "correct-horse-battery";
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) smtp: SmtpReceiver,
    memory: Option<Broker>,
    /// For publishing and listening as the other services would.
    outside: Broker,
    /// What the gateway would have heard. A broker in memory confirms only what every queue has handled.
    pub(crate) heard: Heard,
    _outside_tasks: Tasks,
    inside: DatabaseConnection,
    _database: TestDatabase,
    _namespace: Namespace,
}

impl World {
    /// PostgreSQL and RabbitMQ.
    pub(crate) async fn production() -> Self {
        let database = TestDatabase::postgres().await;
        database.execute("CREATE SCHEMA email_worker").await;
        let delays = [100, 300];
        let namespace = Namespace::unique();
        let mut settings = Settings::for_tests();
        settings.broker.url = amqp_url().into();
        namespace.name().clone_into(&mut settings.broker.namespace);
        settings.broker.retry_delays = delays.map(Duration::from_millis).to_vec();
        Self::with(settings, database, namespace, None).await
    }

    /// SQLite and a broker in memory.
    pub(crate) async fn embedded() -> Self {
        let settings = Settings::for_tests();
        Self::with(
            settings,
            TestDatabase::sqlite(),
            Namespace::unique(),
            Some(Broker::memory()),
        )
        .await
    }

    async fn with(
        mut settings: Settings,
        database: TestDatabase,
        namespace: Namespace,
        memory: Option<Broker>,
    ) -> Self {
        let smtp = SmtpReceiver::start().await;
        settings.database.url = database.url().into();
        settings.database.max_connections = 8;
        settings.own.mail.url = smtp.url().into();
        settings.operations.token = TOKEN.into();
        settings.dispatch.retry_delays = vec![Duration::from_millis(50)];
        let own = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(own.unguarded(), None).await.unwrap();
        let inside = own.unguarded().clone();
        let outside_tasks = Tasks::new(Service::NotificationGateway);
        let outside = memory.clone().unwrap_or_else(|| {
            let metrics = Metrics::new(Service::NotificationGateway);
            Broker::connect(&settings, &outside_tasks, &metrics).unwrap()
        });
        let heard = Heard::default();
        let consumer = Consumer {
            queue: GATEWAY_EVENTS,
            intake: heard.clone(),
            changes: Changes::new(Service::NotificationGateway, own.clone()),
            options: ConsumerOptions::new(&settings),
        };
        let metrics = Metrics::new(Service::NotificationGateway);
        outside.consume(consumer, &metrics, &outside_tasks);
        Self {
            settings,
            smtp,
            memory,
            outside,
            heard,
            _outside_tasks: outside_tasks,
            inside,
            _database: database,
            _namespace: namespace,
        }
    }

    /// Starts a worker; any number may run.
    pub(crate) async fn worker(&self) -> Worker {
        let tasks = Tasks::new(Service::EmailWorker);
        let backends = Backends {
            broker: self.memory.clone(),
        };
        let running = start(self.settings.clone(), backends, tasks.clone()).await.unwrap();
        Worker { running, tasks }
    }

    /// Publishes an event, as user-api's relay would; the broker may need a moment at first.
    pub(crate) async fn publish(&self, event: &Event<UserRegistered>) {
        self.publish_in(event, TraceContext::fresh()).await;
    }

    /// The same, as part of a trace.
    pub(crate) async fn publish_in(&self, event: &Event<UserRegistered>, trace: TraceContext) {
        let message = OutboundMessage::of(Service::UserApi, event, trace).unwrap();
        if self.memory.is_some() {
            self.outside.publish(message).await.unwrap();
            return;
        }
        eventually(SOON, || async { self.outside.publish(message.clone()).await.is_ok() }).await;
    }

    /// The delivery rows, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Row> {
        let backend = self.inside.get_database_backend();
        let select = "SELECT status, reason, attempts, last_error FROM deliveries ORDER BY created_at";
        Row::find_by_statement(Statement::from_string(backend, select))
            .all(&self.inside)
            .await
            .unwrap()
    }

    /// Waits until the one delivery has the status, and gives it back.
    pub(crate) async fn delivery(&self, status: &str) -> Row {
        eventually(SOON, || async {
            let rows = self.deliveries().await;
            assert!(rows.len() <= 1, "{rows:?}");
            rows.into_iter().find(|row| row.status == status)
        })
        .await
    }

    /// Runs one statement in the service's database.
    pub(crate) async fn execute(&self, statement: &str) {
        self.inside.execute_unprepared(statement).await.unwrap();
    }
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Row {
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempts: i32,
    pub(crate) last_error: Option<String>,
}

pub(crate) struct Worker {
    running: Running,
    tasks: Tasks,
}

impl Worker {
    /// Reads a path of the operations port.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.running.operations_address);
        let response = reqwest::get(url).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Asks the operations API; null where the answer has no body.
    pub(crate) async fn operate(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://{}/operations/{path}", self.running.operations_address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.parse().unwrap(), url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    /// How many messages of the queue it has acknowledged, copies included.
    pub(crate) async fn acknowledged(&self) -> usize {
        let (_, metrics) = self.get("/metrics").await;
        metrics
            .lines()
            .filter(|line| line.starts_with("waypost_messages_total") && line.contains("email-worker.events"))
            .filter(|line| line.contains("\"ack\""))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    }

    pub(crate) async fn stop(self) {
        self.tasks.shut_down(Duration::from_secs(8)).await.unwrap();
    }
}

/// What the gateway would have heard.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<(Message, EmailSent)>>>);

impl Heard {
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<(Message, EmailSent)> {
        eventually(SOON, || async {
            let heard = self.0.lock().await.clone();
            (heard.len() >= count).then_some(heard)
        })
        .await
    }
}

impl Intake for Heard {
    async fn take(&self, message: &Message, _: &mut Change) -> Result<(), Rejection> {
        if message.kind == EmailSent::TYPE {
            self.0.lock().await.push((message.clone(), message.decode()?));
        }
        Ok(())
    }
}

/// Somebody signs up.
pub(crate) fn sign_up(email: &str, name: &str, locale: &str) -> Event<UserRegistered> {
    let user_id = Uuid::now_v7();
    let person = Person {
        user_id,
        email: email.to_owned(),
        name: name.to_owned(),
        locale: locale.to_owned(),
        ..Person::example()
    };
    Event::new(user_id, OffsetDateTime::UNIX_EPOCH, UserRegistered { person })
}
