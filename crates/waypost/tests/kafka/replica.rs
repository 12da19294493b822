//! Processes of a service whose events go to Kafka, as far as that takes: a database, changes, the relay.

use std::time::Duration;

use common::config::{Service, Settings};
use common::database::Database;
use common::messaging::{Changes, Kafka, spawn_kafka_relay};
use common::process::Tasks;
use common::telemetry::Metrics;
use contracts::Event;
use contracts::events::{Person, UserUpdated};
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, Statement};
use test_support::{PrivateKafka, TestDatabase, eventually};
use uuid::Uuid;

/// Longest wait for what is certain to come, on a machine that builds beside.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// What all replicas share: migrated tables on PostgreSQL, a topic.
pub(crate) struct Own {
    settings: Settings,
    _test: TestDatabase,
}

impl Own {
    pub(crate) async fn over(kafka: &PrivateKafka, topic: &str) -> Self {
        let test = TestDatabase::postgres().await;
        test.execute("CREATE SCHEMA user_api").await;
        let mut settings = Settings::for_tests(Service::UserApi);
        settings.database.url = test.url().into();
        settings.database.max_connections = 20;
        settings.outlets.kafka.url = kafka.url().into();
        topic.clone_into(&mut settings.outlets.kafka.topic);
        let database = Database::connect(&settings, Service::UserApi).await.unwrap();
        let tables = migrations::of(Owner::UserApi);
        tables.up(database.unguarded(), None).await.unwrap();
        database.close().await;
        Self { settings, _test: test }
    }
}

/// One process of a service whose events go to Kafka.
pub(crate) struct Replica {
    pub(crate) changes: Changes,
    database: Database,
    tasks: Tasks,
}

impl Replica {
    pub(crate) async fn start(own: &Own) -> Self {
        let settings = &own.settings;
        let database = Database::connect(settings, Service::UserApi).await.unwrap();
        let changes = Changes::new(Service::UserApi, database.clone()).and_for_kafka();
        let tasks = Tasks::new(Service::UserApi);
        let kafka = Kafka::connect(settings).unwrap();
        spawn_kafka_relay(&changes, kafka, Metrics::new(Service::UserApi), &tasks);
        Self {
            changes,
            database,
            tasks,
        }
    }

    /// Events that wait for Kafka.
    pub(crate) async fn waiting(&self) -> usize {
        eventually(PATIENCE, async || {
            let database = self.database.read();
            let sql = "SELECT count(*) AS waiting FROM outbox_kafka";
            let statement = Statement::from_string(database.get_database_backend(), sql);
            let row = database.query_one_raw(statement).await.ok()??;
            usize::try_from(row.try_get::<i64>("", "waiting").ok()?).ok()
        })
        .await
    }

    pub(crate) async fn end(self) {
        self.tasks.shut_down(Duration::from_secs(10)).await.unwrap();
    }
}

pub(crate) fn event(user_id: Uuid, version: i64, name: &str) -> Event<UserUpdated> {
    let person = Person {
        user_id,
        version,
        email: format!("{user_id}@example.org"),
        name: name.into(),
        ..Person::example()
    };
    Event::new(user_id, common::Timestamp::now().to_offset(), UserUpdated { person })
}
