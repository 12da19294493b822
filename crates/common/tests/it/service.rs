//! The kit that a service opens: what it tells of itself, and the rows that a service adds to its operations API.

use std::sync::Arc;

use actix_web::web::Data;
use common::config::{Profile, Service, Settings};
use common::database::Database;
use common::http::{Answer, Class, Endpoint, Found};
use common::messaging::Broker;
use common::process::{Need, Tasks};
use common::service::{Kit, Parts};
use migrations::{MigratorTraitSelf, Owner};
use serde_json::Value;
use test_support::TestDatabase;

fn parts() -> Parts {
    Parts {
        tables: migrations::of(Owner::EmailWorker).names(),
        broker: Some(Broker::memory()),
        broker_is: Need::Required,
        tells_events: true,
    }
}

fn settings(database: &TestDatabase) -> Settings {
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = database.url().to_owned().into();
    settings
}

async fn ours(ours: Data<String>) -> Answer<Found<String>> {
    Answer::found(&**ours)
}

#[tokio::test]
async fn a_kit_tells_of_its_parts_and_a_service_adds_rows_of_its_own() {
    let database = TestDatabase::sqlite();
    let mut settings = settings(&database);
    settings.profile = Profile::Development;
    let tables = Database::connect(&settings, Service::EmailWorker).await.unwrap();
    let migrations = migrations::of(Owner::EmailWorker);
    migrations.up(tables.unguarded(), None).await.unwrap();
    tables.close().await;

    let tasks = Tasks::new(Service::EmailWorker);
    let mut kit = Kit::open(&settings, &tasks, parts()).await.unwrap();
    kit.store().unwrap();
    kit.add_operations(Arc::new("ours".to_owned()), || {
        vec![Endpoint::at("/operations/ours").get(Class::Read, "Show what is ours", ours)]
    });
    let address = kit.serve_operations().unwrap();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        answer.text().await.unwrap()
    };

    assert_eq!(get("/operations/ours").await, "\"ours\"");
    let readiness: Value = serde_json::from_str(&get("/readyz").await).unwrap();
    let up = serde_json::json!({"broker": "up", "database": "up", "store": "up"});
    assert_eq!(readiness["dependencies"], up);
    tasks.stopping().cancel();
}

#[tokio::test]
async fn without_its_tables_there_is_no_kit_and_it_is_said_what_to_run() {
    let database = TestDatabase::sqlite();
    let (settings, tasks) = (settings(&database), Tasks::new(Service::EmailWorker));
    let opened = Kit::open(&settings, &tasks, parts()).await;
    let refused = opened.err().unwrap().to_string();
    assert!(refused.contains("waypost migrate"), "{refused}");
}

/// The tests of this crate are built without it; `make test-kafka` meets one that is built with it.
#[cfg(not(feature = "kafka"))]
#[tokio::test]
async fn a_program_without_the_client_of_kafka_refuses_to_open_an_outlet_and_says_what_to_build() {
    let mut settings = settings(&TestDatabase::sqlite());
    settings.outlets.kafka.url = "kafka://127.0.0.1:9092".into();
    let tasks = Tasks::new(Service::EmailWorker);
    let refused = Kit::open(&settings, &tasks, parts())
        .await
        .err()
        .map(|error| error.to_string());
    let told = refused.unwrap_or_default();
    assert!(
        told.contains("outlets.kafka.url") && told.contains("--features kafka"),
        "{told}"
    );

    // Who tells of nothing writes nothing for Kafka, and asks for no client.
    let quiet = Parts {
        tells_events: false,
        ..parts()
    };
    let opened = Kit::open(&settings, &tasks, quiet).await;
    assert!(opened.err().unwrap().to_string().contains("waypost migrate"));
}
